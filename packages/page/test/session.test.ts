import t from 'tap';
import { listAddress } from '../src/routes.js';
import { addressOf } from '../src/session.js';

void t.test('signing in at the provider leads back to where one was, if a gateway takes that', async (t) => {
  const provider = { name: 'SSO', path: '/sign-in/oidc' };
  const place = (length: number): string => {
    const start = listAddress('stations', 'station = ');
    return start + 'a'.repeat(length - start.length);
  };
  for (const [at, address] of [
    ['#/stations', '/sign-in/oidc?return=%23%2Fstations'],
    [place(1024), `/sign-in/oidc?return=${encodeURIComponent(place(1024))}`],
    [place(1025), '/sign-in/oidc'],
    ['', '/sign-in/oidc'],
    ['#//elsewhere.example"', '/sign-in/oidc'],
  ] as const)
    t.equal(addressOf(provider, at), address, at);
});
