#pragma once
#include <sys/prctl.h>
#include <uv.h>

// prctl is variadic and so not visible to Swift. Names the calling thread; the kernel keeps 15 bytes.
static inline void carillon_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

#include <spawn.h>

// Of glibc 2.34 and later, and behind a macro that Swift does not set: the child closes all descriptors from `lowest` on.
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int lowest);
static inline int carillon_spawn_close_from(posix_spawn_file_actions_t *actions, int lowest) {
    return posix_spawn_file_actions_addclosefrom_np(actions, lowest);
}

#include <spawn.h>
// Glibc declares it for _GNU_SOURCE only.
int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);

#include <netinet/tcp.h>
#include <sys/socket.h>

// Glibc's overlay has neither struct tcp_info's newer fields nor all option numbers.
// How long the peer's machine may leave what was sent unacknowledged, in ms; 0: as long as the kernel's own retries last.
static inline int carillon_tcp_user_timeout(int descriptor, unsigned int milliseconds) {
    return setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}
// Small writes leave at once.
static inline int carillon_tcp_nodelay(int descriptor) {
    int on = 1;
    return setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
// Probes of an idle connection: the first after `idle` seconds, `count` of them `interval` seconds apart.
static inline int carillon_tcp_keepalive(int descriptor, int idle, int interval, int count) {
    int on = 1;
    return setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on)
        | setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle)
        | setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval)
        | setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}
// For how many ms the peer's machine has acknowledged nothing while something waits for that: data, or probes of a closed window.
static inline unsigned int carillon_tcp_silence(int descriptor) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
    return info.tcpi_unacked > 0 || info.tcpi_probes > 1 ? info.tcpi_last_ack_recv : 0;
}

// Asks for the cache lines of an object that is read soon. It reads nothing, and faults on nothing.
static inline void carillon_fetch_ahead(const void *object) {
    for (int at = 0; at < 256; at += 64) __builtin_prefetch((const char *)object + at);
}
