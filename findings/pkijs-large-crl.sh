#!/usr/bin/env bash
# pkijs 4.0.0 (asn1js 4.0.0) cannot read a large, valid CRL that OpenSSL reads.
#
# Seen: a CRL of 50 000 entries, made and checked by OpenSSL, makes CertificateRevocationList.fromBER throw AsnError "Data is not
# correct for 'CertificateRevocationList'"; one of 1 000 entries is read. The cause is not said: asn1js reads 10 000 nodes at
# most unless told otherwise, which is about 2 500 entries, and pkijs has no way to tell it. Parsed by asn1js.fromBER(bytes,
# { maxNodes }) first and handed over as `schema` the same list is read. Lists of that length are ordinary for an authority that has
# served a fleet for years: whoever takes the error for "this is no CRL" and goes on without it revokes nothing.
# Needs npm and openssl.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm init -y >/dev/null
npm install --no-audit --no-fund --loglevel=error pkijs@4.0.0 asn1js@4.0.0 >/dev/null

openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem 2>/dev/null
cat > ca.cnf <<'CNF'
[ca]
default_ca = one
[one]
database = index.txt
crlnumber = number
default_md = sha256
default_crl_days = 30
CNF
crl() { # entries
  seq "$1" | awk '{ printf "R\t300101000000Z\t250101000000Z\t%06X\tunknown\t/CN=x\n", $1 + 1048576 }' > index.txt
  echo 01 > number
  openssl ca -config ca.cnf -gencrl -cert ca.pem -keyfile ca.key -out "$1.pem" 2>/dev/null
  openssl crl -in "$1.pem" -CAfile ca.pem -outform DER -out "$1.der" 2>&1 | grep -x 'verify OK'
}
crl 1000
crl 50000
cat > read.mjs <<'JS'
import { readFileSync } from 'node:fs';
import { fromBER } from 'asn1js';
import { CertificateRevocationList } from 'pkijs';
const attempt = (read) => {
  try {
    return `${read().revokedCertificates.length} entries`;
  } catch (error) {
    return `${error.constructor.name}: ${error.message.slice(0, 200)}`;
  }
};
console.log(`1000: ${attempt(() => CertificateRevocationList.fromBER(readFileSync('1000.der')))}`);
console.log(`50000: ${attempt(() => CertificateRevocationList.fromBER(readFileSync('50000.der')))}`);
const schema = () => fromBER(readFileSync('50000.der'), { maxNodes: 1_000_000 }).result;
console.log(`50000, parsed with maxNodes first: ${attempt(() => new CertificateRevocationList({ schema: schema() }))}`);
JS
seen=$(node read.mjs)
echo "$seen"
grep -qx '1000: 1000 entries' <<<"$seen" || { echo 'changed: the short list is not read'; exit 1; }
grep -q "^50000: .*Data is not correct for 'CertificateRevocationList'" <<<"$seen" || { echo 'changed: the long list'; exit 1; }
grep -qx '50000, parsed with maxNodes first: 50000 entries' <<<"$seen" || { echo 'changed: the way round'; exit 1; }
echo 'as described: pkijs 4.0.0 refuses a valid CRL of 50 000 entries'
