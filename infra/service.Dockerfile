# One recipe for the four services, chosen by SERVICE. Needs BuildKit (the default since Docker 23; DOCKER_BUILDKIT=1 before).
#   docker build -f infra/service.Dockerfile --build-arg SERVICE=gateway -t khumbu-gateway .
# Behind a proxy that opens TLS: add --secret id=ca,src=/path/to/ca.pem; nothing of it stays in the image.
ARG BASE=node:24-bookworm-slim

# What npm needs to know, and no more: sources may change without a new installation.
FROM ${BASE} AS manifests
WORKDIR /app
COPY . .
RUN find . -type f ! -name package.json ! -name package-lock.json -delete && find . -type d -empty -delete

FROM ${BASE} AS build
WORKDIR /app
COPY --from=manifests /app ./
RUN --mount=type=secret,id=ca,required=false \
    if [ -s /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1
COPY . .
RUN node_modules/.bin/tsc -b && node_modules/.bin/vite build packages/page --config packages/page/vite.config.mjs && \
    node scripts/bundle.mjs

# Packages for production, and the compiled code of those of ours that this service uses.
FROM ${BASE} AS production
WORKDIR /app
COPY --from=manifests /app ./
ARG SERVICE
# npm leaves the packages of a development dependency out, but not a workspace that is one, nor what that needs.
RUN node -e 'const fs = require("fs"); for (const file of process.argv.slice(1)) { \
      const { devDependencies, ...manifest } = JSON.parse(fs.readFileSync(file)); \
      fs.writeFileSync(file, JSON.stringify(manifest)); }' packages/*/package.json services/*/package.json
RUN --mount=type=secret,id=ca,required=false \
    if [ -s /run/secrets/ca ]; then export NODE_EXTRA_CA_CERTS=/run/secrets/ca; fi; \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund --fetch-retries=1 --workspace "services/${SERVICE}"
RUN --mount=type=bind,from=build,source=/app,target=/built \
    for folder in packages/* services/*; do \
      if [ -e "node_modules/@khumbu/${folder#*/}" ]; \
      then mkdir "${folder}/dist" && cp -R "/built/${folder}/dist/src" "${folder}/dist/src"; \
           for more in bundle page; do \
             if [ -d "/built/${folder}/dist/${more}" ]; then cp -R "/built/${folder}/dist/${more}" "${folder}/dist/${more}"; fi; \
           done; \
           if [ -d "/built/${folder}/station" ]; then cp -R "/built/${folder}/station" "${folder}/station"; fi; \
      else rm -rf "${folder}"; \
      fi; \
    done; \
    rm -rf test package-lock.json; \
    find node_modules packages services \( -name '*.d.ts' -o -name '*.d.ts.map' -o -name '*.js.map' \) -delete; \
    ln -s "services/${SERVICE}" service

FROM ${BASE}
WORKDIR /app
# Signatures of firmware are verified by the openssl program.
ARG SERVICE
RUN if [ "${SERVICE}" = ota-worker ]; then \
      apt-get update -qq && apt-get install -y -qq --no-install-recommends openssl >/dev/null && \
      rm -rf /var/lib/apt/lists/*; \
    fi
ENV NODE_ENV=production \
    HTTP_HOST=0.0.0.0 HTTP_PORT=8080 \
    HEALTH_HOST=0.0.0.0 HEALTH_PORT=8080 \
    SPOOL_DIR=/var/lib/khumbu/spool \
    SIMULATED_STATIONS_DIR=/var/lib/khumbu/chargers
# A named volume takes over who owns these folders.
RUN install -d -o node -g node -m 0750 /var/lib/khumbu /var/lib/khumbu/spool /var/lib/khumbu/chargers
COPY --from=production /app ./
COPY infra/healthcheck.mjs ./
RUN case ${SERVICE} in \
      gateway) flags='--v8-pool-size=1 --heap-growing-percent=200' ;; \
      ota-worker | system-control) flags='--v8-pool-size=1 --max-semi-space-size=1' ;; \
      *) flags='--v8-pool-size=1' ;; \
    esac; \
    echo "exec node ${flags} service/dist/bundle/main.js" >start.sh
USER node
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["node", "healthcheck.mjs"]
# The shell is replaced by the service, which signals are for.
CMD ["sh", "start.sh"]
