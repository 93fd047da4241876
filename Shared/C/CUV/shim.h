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
