# One image for both roles:
#
#   docker build -t stickshift .
#   docker run stickshift gateway --config /etc/stickshift/stickshift.yaml
#   docker run stickshift agent app-1 --config /etc/stickshift/stickshift.yaml
#
# and the demo's shop:
#
#   docker build --target demo-shop -t stickshift-demo-shop .
#
# Nothing here needs BuildKit. Node 26 runs the TypeScript sources as they are.

FROM node:26-slim AS dependencies
WORKDIR /opt/stickshift
COPY package.json package-lock.json ./
RUN npm ci --omit=dev \
 # Types, source maps and sources that no running process reads: two fifths of the whole.
 && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete \
 && rm -rf node_modules/@types node_modules/zod/src

# Express and its like are the shop's affair; gateway and agent do without.
FROM node:26-slim AS shop-dependencies
WORKDIR /opt/shop
COPY package.json /tmp/package.json
RUN npm install --no-save $(node -p "const { devDependencies: versions } = require('/tmp/package.json'); \
  ['express', 'express-session', 'ws'].map((name) => name + '@' + versions[name]).join(' ')")

FROM node:26-slim AS demo-shop
ENV NODE_ENV=production
WORKDIR /opt/shop
COPY --from=shop-dependencies /opt/shop/node_modules node_modules
COPY package.json ./
COPY session-agent/express-client session-agent/express-client
COPY demo/shop demo/shop
USER node
ENV SHOP_LISTEN=0.0.0.0:8000
EXPOSE 8000
HEALTHCHECK --interval=2s --timeout=2s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8000/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "demo/shop/main.ts"]

# The last stage is what a plain `docker build` makes.
FROM node:26-slim AS stickshift
ENV NODE_ENV=production \
    STICKSHIFT_CONFIG=/etc/stickshift/stickshift.yaml \
    HEALTH_URL=http://127.0.0.1:8081/healthz
WORKDIR /opt/stickshift
COPY --from=dependencies /opt/stickshift/node_modules node_modules
COPY package.json LICENSE ./
COPY bin bin
COPY protocol protocol
COPY json-api json-api
COPY config config
COPY telemetry telemetry
COPY store store
COPY session-agent session-agent
COPY gateway gateway
COPY cli cli
# So that `docker compose exec gateway stickshift status` works.
# The mode is set for checkouts that do not keep it.
RUN chmod 755 bin/stickshift.js && ln -s /opt/stickshift/bin/stickshift.js /usr/local/bin/stickshift
# Where agents keep their journals unless told otherwise. Some run as the user of the app beside them, so it is open to all, as
# /tmp is; each makes a directory of its own. A volume here keeps them when the container is replaced.
RUN mkdir -p .stickshift/journal && chmod 1777 .stickshift .stickshift/journal
USER node
# A gateway's admin API unless HEALTH_URL names an agent's control API.
HEALTHCHECK --interval=2s --timeout=2s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["stickshift"]
