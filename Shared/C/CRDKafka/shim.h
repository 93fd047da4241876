#pragma once
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/* Produces one copied message. Takes `headers` over when it succeeds; it stays the caller's otherwise. */
static inline rd_kafka_resp_err_t carillon_kafka_produce(
    rd_kafka_t *client, rd_kafka_topic_t *topic, const void *key, size_t key_length, const void *value,
    size_t value_length, rd_kafka_headers_t *headers, void *opaque) {
    if (headers)
        return rd_kafka_producev(
            client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_length),
            RD_KAFKA_V_VALUE((void *)value, value_length), RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque),
            RD_KAFKA_V_END);
    if (rd_kafka_produce(
            topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, (void *)value, value_length, key, key_length, opaque) == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    return rd_kafka_last_error();
}

/* Bounds the arenas that glibc makes for threads: each has 64 MB of addresses, and keeps what was freed in it. For threads that begin later. */
static inline void carillon_kafka_limit_arenas(int most) { mallopt(M_ARENA_MAX, most); }

/* A pipe that neither end blocks on and no child inherits: what librdkafka wakes a loop with. 0, or -1 with errno. */
static inline int carillon_kafka_wake_pipe(int ends[2]) {
    if (pipe(ends) != 0) return -1;
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}
