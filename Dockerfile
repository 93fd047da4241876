# Carillon's images:
#   docker build -t carillon .                       the five services and the tools: `docker run carillon gateway`
#   docker build -t carillon-apns --target apns .    the stand-in for APNs, for demonstrations

FROM swift:6.3-bookworm AS build
WORKDIR /src
COPY deploy/install-dependencies deploy/
RUN deploy/install-dependencies build && rm -rf /var/lib/apt/lists/*
COPY . .
# Swift's own libraries once for all binaries, as many as these use; what remains is what the run stage installs from Debian.
RUN swift build -c release \
 && mkdir -p /out/bin /out/lib \
 && for name in gateway notification-service fanout-worker presence-service push-service carillonctl carillon-local; do \
        strip -o /out/bin/$name .build/release/$name || exit 1; \
    done \
 && for library in $(ldd .build/release/gateway .build/release/notification-service .build/release/carillonctl .build/release/carillon-local \
            | grep -o '/[^ ]*/swift/linux/[^ ]*' | sort -u); do \
        strip --strip-unneeded -o /out/lib/$(basename $library) $library || exit 1; \
    done

FROM debian:bookworm-slim AS apns
RUN apt-get update \
 && apt-get install -y --no-install-recommends openssl python3 python3-h2 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home carillon \
 && install -d -m 0700 -o carillon /var/lib/apns
COPY deploy/healthy /usr/local/bin/healthy
COPY Tests/StandIns/apns /usr/local/lib/apns
ENV APNS_STATE=/var/lib/apns LISTEN_ADDRESS=0.0.0.0 APNS_PORT=8443 APNS_HTTP_PORT=8080 APNS_HOST=apns PYTHONDONTWRITEBYTECODE=1
USER carillon
HEALTHCHECK --interval=2s --timeout=3s --start-period=20s --retries=5 CMD ["healthy", "8080", "/health"]
CMD ["python3", "/usr/local/lib/apns"]

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libcurl4 libhiredis0.14 librdkafka1 libssl3 libstdc++6 libuv1 \
        libyaml-0-2 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home carillon
COPY --from=build /out/lib/ /usr/local/lib/
RUN ldconfig
COPY --from=build /out/bin/ /usr/local/bin/
COPY deploy/healthy /usr/local/bin/healthy
# The policies are mounted there, so that a change of them needs no build.
ENV PORT=8080 OPERATIONS_ADDRESS=0.0.0.0 OPERATIONS_PORT=9000 POLICIES=/etc/carillon/policies.yaml
USER carillon
# Ready means that this process can do its work; a dependency that is away does not make it unhealthy.
HEALTHCHECK --interval=2s --timeout=3s --start-period=20s --retries=5 CMD ["healthy", "9000", "/health/ready"]
CMD ["gateway"]
