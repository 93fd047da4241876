#pragma once
#include <sys/prctl.h>
#include <uv.h>

// prctl is variadic and so not visible to Swift. Names the calling thread; the kernel keeps 15 bytes.
static inline void carillon_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }
