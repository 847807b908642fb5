/** The schemes, one file each. They are loaded when they are needed: each thread that fetches would load all of them. */
import type { Location, LocationScheme } from '@khumbu/shared/locations/location';
import type { CreateTransport, TransferContext, Transport } from './port.js';

const http = async (): Promise<CreateTransport> => (await import('./schemes/http.js')).createHttpTransport;
const ftp = async (): Promise<CreateTransport> => (await import('./schemes/ftp/ftp.js')).createFtpTransport;

const SCHEMES: Readonly<Record<LocationScheme, () => Promise<CreateTransport>>> = {
  https: http,
  http,
  s3: async () => (await import('./schemes/s3.js')).createS3Transport,
  ftps: ftp,
  ftp,
  sftp: async () => (await import('./schemes/sftp/sftp.js')).createSftpTransport,
};

/** The transport for one try of a transfer. */
export async function transportFor({ scheme }: Pick<Location, 'scheme'>, context: TransferContext): Promise<Transport> {
  return (await SCHEMES[scheme]())(context);
}
