// Preloaded under the sanitizers (Tests/sanitize), and harmless elsewhere: tells ThreadSanitizer of locks and threads that it does not
// see, and has LeakSanitizer look while a service runs, for a service ends by `_exit`, where nobody looks any more.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <unistd.h>

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

// Swift's Mutex: the fast paths are compiled into the program, and seen; the slow ones lie in a library that is not instrumented.
// (Swift's symbols and its calling convention: `self` comes in the context register.)
#define LOCK "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *self

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

SWIFT void sanitizers_lock(uint32_t thread, SELF) __asm__(LOCK);
SWIFT void sanitizers_lock(uint32_t thread, SELF) {
    static SWIFT void (*original)(uint32_t, SELF);
    if (!original) original = next(LOCK);
    original(thread, self);
    if (__tsan_acquire) __tsan_acquire(self);
}

SWIFT void sanitizers_unlock(SELF) __asm__(UNLOCK);
SWIFT void sanitizers_unlock(SELF) {
    static SWIFT void (*original)(SELF);
    if (!original) original = next(UNLOCK);
    if (__tsan_release) __tsan_release(self);
    original(self);
}

// librdkafka's threads and locks are C11's, which ThreadSanitizer does not intercept: it would crash in the first of those threads.
// glibc's are POSIX threads and locks in the same memory.
struct start {
    thrd_start_t body;
    void *argument;
};

static void *run(void *raw) {
    struct start start = *(struct start *)raw;
    free(raw);
    return (void *)(intptr_t)start.body(start.argument);
}

static int code(int error) {
    switch (error) {
    case 0: return thrd_success;
    case ENOMEM: return thrd_nomem;
    case ETIMEDOUT: return thrd_timedout;
    case EBUSY: return thrd_busy;
    default: return thrd_error;
    }
}

int thrd_create(thrd_t *thread, thrd_start_t body, void *argument) {
    struct start *start = malloc(sizeof *start);
    if (!start) return thrd_nomem;
    *start = (struct start){body, argument};
    int error = pthread_create(thread, NULL, run, start);
    if (error) free(start);
    return code(error);
}

int thrd_join(thrd_t thread, int *result) {
    void *value;
    int error = pthread_join(thread, &value);
    if (!error && result) *result = (int)(intptr_t)value;
    return code(error);
}

#define MUTEX(mutex) ((pthread_mutex_t *)(mutex))
#define CONDITION(condition) ((pthread_cond_t *)(condition))

int mtx_init(mtx_t *mutex, int type) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    if (type & mtx_recursive) pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init(MUTEX(mutex), &attributes);
    pthread_mutexattr_destroy(&attributes);
    return code(error);
}
void mtx_destroy(mtx_t *mutex) { pthread_mutex_destroy(MUTEX(mutex)); }
int mtx_lock(mtx_t *mutex) { return code(pthread_mutex_lock(MUTEX(mutex))); }
int mtx_trylock(mtx_t *mutex) { return code(pthread_mutex_trylock(MUTEX(mutex))); }
int mtx_unlock(mtx_t *mutex) { return code(pthread_mutex_unlock(MUTEX(mutex))); }
int cnd_init(cnd_t *condition) { return code(pthread_cond_init(CONDITION(condition), NULL)); }
void cnd_destroy(cnd_t *condition) { pthread_cond_destroy(CONDITION(condition)); }
int cnd_signal(cnd_t *condition) { return code(pthread_cond_signal(CONDITION(condition))); }
int cnd_broadcast(cnd_t *condition) { return code(pthread_cond_broadcast(CONDITION(condition))); }
int cnd_wait(cnd_t *condition, mtx_t *mutex) { return code(pthread_cond_wait(CONDITION(condition), MUTEX(mutex))); }
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until) {
    return code(pthread_cond_timedwait(CONDITION(condition), MUTEX(mutex), until));
}

static void *look(void *interval) {
    while (!sleep((unsigned)(uintptr_t)interval)) __lsan_do_recoverable_leak_check();
    return NULL;
}

// Every LEAK_INTERVAL seconds, where it is set.
__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("LEAK_INTERVAL");
    pthread_t thread;
    if (!text || !__lsan_do_recoverable_leak_check) return;
    pthread_create(&thread, NULL, look, (void *)strtoul(text, NULL, 10));
}
