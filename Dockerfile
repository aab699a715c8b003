# One image for each program:
#
#   docker build --target bridge     --build-arg VERSION=1.2.3 --build-arg COMMIT="$(git rev-parse HEAD)" -t billbus-bridge .
#   docker build --target subscriber --build-arg VERSION=1.2.3 --build-arg COMMIT="$(git rev-parse HEAD)" -t billbus-subscriber .
#
# VERSION and COMMIT are labels of the image. What --version prints comes from .git. If .git is a file and
# not a folder (in a worktree or submodule), that fails: use --build-arg GOFLAGS=-buildvcs=false.

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG GOFLAGS
# Downloads only what these two programs import: the embedded servers of standalone are large.
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags="-s -w" -o /out/ ./cmd/bridge ./cmd/subscriber

# Alpine instead of an empty image, for a shell to look around.
FROM alpine:3.24.2 AS runtime
# For TLS to NATS, MongoDB and Stripe.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# By number, because Kubernetes cannot check whether a named user is root.
USER 65532:65532
ARG VERSION=dev
ARG COMMIT=unknown
LABEL org.opencontainers.image.source="https://github.com/billbus/billbus" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"

FROM runtime AS bridge
LABEL org.opencontainers.image.title="Billbus bridge" \
      org.opencontainers.image.description="Verifies Stripe webhooks and publishes them to NATS JetStream"
COPY --from=build /out/bridge /usr/local/bin/bridge
EXPOSE 8080 9090
ENTRYPOINT ["bridge"]

FROM runtime AS subscriber
LABEL org.opencontainers.image.title="Billbus subscriber" \
      org.opencontainers.image.description="Keeps subscription state and an audit trail in MongoDB"
COPY --from=build /out/subscriber /usr/local/bin/subscriber
EXPOSE 9091
ENTRYPOINT ["subscriber"]
