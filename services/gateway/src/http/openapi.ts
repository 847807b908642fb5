/** `/openapi.json` and `/docs`, made from the routes' own schemas, and `/asyncapi.json`. */
import { fastifySwagger } from '@fastify/swagger';
import { fastifySwaggerUi } from '@fastify/swagger-ui';
import { type AsyncApiOptions, asyncApiDocument } from '@khumbu/shared/contract/async-api';
import type { FastifyInstance } from 'fastify';
import { type DocumentedPaths, describeHeaders } from './documented-headers.js';
import { yamlOf } from './yaml-of.js';

const INTRODUCTION = `Khumbu updates the firmware of charging stations that run EVerest, fetches their logs, resets them and sets their
clocks: one station or a thousand. This is the REST API for fleet tools. It calls the very functions that serve EVerest
itself over MQTT.

### First steps

Every request needs \`Authorization: Bearer\` with an API key, or with a JSON Web Token where the depot is set up for
them. With the key and the address in two variables:

\`\`\`sh
KEY=khumbu_...; API=http://127.0.0.1:8080/v1
auth() { curl -sS -H "Authorization: Bearer $KEY" "$@"; }

auth $API/stations                                      # who is there
auth -N "$API/events?station=cs-1" &                    # follow one station

# update it; the answer is 202 with an operationId
auth $API/stations/cs-1/firmware-updates -H 'Content-Type: application/json' \\
     -d '{"location":"https://files.example/charger-2.1.img"}'
auth $API/stations/cs-1/firmware-updates?status=open    # where it stands; waitingFor says what is missing
auth -X POST $API/stations/cs-1/firmware-updates/$ID/allow-installation   # if it waits for a permission

# fetch its logs: start, wait for Uploaded, follow the redirect
auth $API/stations/cs-1/log-uploads -H 'Content-Type: application/json' -d '{}'
auth -L -o logs.tar.gz $API/stations/cs-1/log-uploads/$ID/archive

# reset it
auth $API/stations/cs-1/reset -H 'Content-Type: application/json' -d '{"type":"Soft"}'
\`\`\`

### How requests are answered

- What is accepted is answered with 202 and the operation; \`Location\` says where to follow it, \`GET /v1/events\` tells
  of every change.
- What is refused is answered with a problem (RFC 9457) whose \`code\` is stable: 409 for what the station, the settings
  or another operation do not allow, 422 for a body that is not acceptable. 503 means that nothing was accepted.
- A station does one operation of each kind at a time. What EVerest (the CSMS) asked for is not pushed aside unless the
  body says \`"replace": true\`; that one then ends visibly.
- Send an \`Idempotency-Key\` with a POST or PUT to be able to repeat it safely: the same key gets the same answer for
  24 hours and does nothing new.
- Scopes: \`read\` sees, \`operate\` acts on stations, \`admin\` also sets clocks and networks. Each includes the one before.
- The contract with EVerest itself, over MQTT, is at [/asyncapi.json](/asyncapi.json).
- Lists have \`limit\` and \`cursor\`; \`nextCursor\` leads on.
- Below \`/v1\` only what the policy of versions allows changes: members, words and routes are added, and what will go is
  \`deprecated\` here and in its answers (\`Deprecation\`, \`Sunset\`) for a year before.
- Send \`X-Request-Id\` to find a request again in the logs; every answer carries one.`;

const TAGS = {
  stations: 'Who is there.',
  firmware: 'Firmware up.',
  logs: 'Logs down.',
  control: 'Resets, clocks, boot reasons, networks.',
  operations: 'What was asked, and what became of it.',
  events: 'What changes, as it changes.',
  webhooks: 'Events, told to other servers.',
  depot: 'How the depot itself does.',
  session: 'For pages in browsers.',
};

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Before any route. */
export async function documentRoutes(app: FastifyInstance): Promise<void> {
  await app.register(fastifySwagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Khumbu REST API',
        version: '1.0.0',
        description: INTRODUCTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'This gateway.' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      components: {
        securitySchemes: {
          bearer: {
            type: 'http',
            scheme: 'bearer',
            description: 'An API key, or a JSON Web Token of the depot’s issuer.',
          },
        },
      },
    },
    transformObject: (made) => {
      if ('openapiObject' in made) describeHeaders(made.openapiObject as DocumentedPaths);
      return 'openapiObject' in made ? made.openapiObject : made.swaggerObject;
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `schema-${i}`),
    },
  });
  // Made once, before anybody is served: it takes tens of milliseconds.
  const json = once(() => Buffer.from(JSON.stringify(app.swagger())));
  let yaml: Promise<Buffer> | undefined;
  const inYaml = (): Promise<Buffer> => {
    yaml ??= yamlOf(json().toString()).then(
      (text) => Buffer.from(text),
      (error: unknown) => {
        yaml = undefined;
        throw error;
      },
    );
    return yaml;
  };
  await app.register(fastifySwaggerUi, {
    uiHooks: {
      onRequest: ({ routeOptions: { url } }, reply, done) => {
        if (url === '/docs/json') reply.type('application/json; charset=utf-8').send(json());
        else if (url === '/docs/yaml') inYaml().then((text) => reply.type('application/x-yaml').send(text), done);
        else done();
      },
    },
    routePrefix: '/docs',
    staticCSP: true,
    // Over plain HTTP from another host nothing would load: there is no HTTPS to upgrade to. Nor is anything outside needed.
    transformStaticCSP: (policy) =>
      policy
        .replace(/\s*upgrade-insecure-requests;?/, '')
        .replaceAll(/ (?:https:|validator\.swagger\.io)(?=[ ;])/g, ''),
    uiConfig: { validatorUrl: 'none' },
  });
  app.addHook('onReady', async () => void json());
  app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(json()),
  );
}

/**
 * The MQTT contract for people and generators, generated once. Open to everybody: nothing in it is a secret.
 * `options.topicPrefix` is the template of this deployment, so that the topics in it are those of its broker.
 */
export function asyncApiRoute(app: FastifyInstance, options: AsyncApiOptions = {}): void {
  const document = JSON.stringify(asyncApiDocument(options));
  app.get('/asyncapi.json', { schema: { hide: true } }, (_request, reply) =>
    reply.type('application/json; charset=utf-8').send(document),
  );
}
