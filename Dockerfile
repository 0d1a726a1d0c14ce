# docker build -t kubelet-bootstrap:0.1.0 .
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json ./
# In the versions and with the hashes of the lock file. Not `npm ci`: it refuses a lock file that leaves out what the
# formatter and the linter have for other platforms. No scripts of packages: none is needed to bundle.
RUN npm install --no-save --ignore-scripts --no-audit --no-fund
COPY src src
COPY scripts/bundle.ts scripts/bundle.ts
RUN node scripts/bundle.ts

FROM gcr.io/distroless/nodejs24-debian13:nonroot
LABEL org.opencontainers.image.title="kubelet-bootstrap" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY LICENSE ./
COPY --from=build /build/dist/bundle ./
# nonroot, by number: with a name the kubelet cannot tell that it is not root.
USER 65532:65532
# The other program: --entrypoint /nodejs/bin/node IMAGE /app/bootstrap-token.mjs
# Garbage may grow as large as what is in use before all of it is looked through: a tenth less work, and not to be had by
# NODE_OPTIONS.
ENTRYPOINT ["/nodejs/bin/node", "--heap-growing-percent=100", "/app/kubelet-bootstrap.mjs"]
CMD ["run"]
