/** The page for people, at `/`. Its files hold no secrets and are open to everybody; what they show is asked of REST. */
import { fileURLToPath } from 'node:url';
import { fastifyStatic } from '@fastify/static';
import { PAGE_FOLDER } from '@khumbu/page/folder';
import type { FastifyInstance } from 'fastify';

/** Nothing from elsewhere, and nothing that stands in a document itself. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');
/** Their names change with their content. */
const ASSET = /[\\/]assets[\\/]/;

export async function servePage(app: FastifyInstance): Promise<void> {
  await app.register(fastifyStatic, {
    root: fileURLToPath(PAGE_FOLDER),
    wildcard: false,
    cacheControl: false,
    decorateReply: false,
    schemaHide: true,
    setHeaders: (reply, path) => {
      reply.header('content-security-policy', POLICY);
      reply.header('cache-control', ASSET.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
}
