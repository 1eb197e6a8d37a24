/* Calls that wait on a word of memory: futexes, and what the C library builds from them. */
#include "blocking_calls.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* The layout of one element of futex_waitv(2), which older headers lack. */
struct futex_wait_element {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};
enum { FUTEX_WAIT_ELEMENT_32_PRIVATE = 2 | 128 };

/* The word counts the events, so that a wait for the next one needs no other state. */
static uint32_t word_before_event(const struct worker *w) {
    return next_event(w) - 1;
}

static bool wake_word(struct worker *w) {
    atomic_fetch_add(&w->word, 1);
    return syscall(SYS_futex, &w->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) >= 0;
}

/* EAGAIN says that the word had changed before the wait began: the event itself. */
static enum outcome futex_outcome(struct worker *w, long result) {
    if (result >= 0 || errno == EAGAIN) {
        return OUTCOME_EVENT;
    }
    return outcome_of_errno(w, ETIMEDOUT);
}

static enum outcome call_futex_wait(struct worker *w, int timeout_ms) {
    const struct timespec span = timespec_of_ms(timeout_ms);
    return futex_outcome(w, syscall(SYS_futex, &w->word, FUTEX_WAIT_PRIVATE, word_before_event(w),
                                    timeout_ms < 0 ? NULL : &span, NULL, 0));
}

static enum outcome call_futex_wait_bitset(struct worker *w, int timeout_ms) {
    const struct timespec end = deadline_after(CLOCK_MONOTONIC, timeout_ms);
    return futex_outcome(w, syscall(SYS_futex, &w->word, FUTEX_WAIT_BITSET_PRIVATE,
                                    word_before_event(w), timeout_ms < 0 ? NULL : &end, NULL,
                                    FUTEX_BITSET_MATCH_ANY));
}

static enum outcome call_futex_waitv(struct worker *w, int timeout_ms) {
    const struct timespec end = deadline_after(CLOCK_MONOTONIC, timeout_ms);
    struct futex_wait_element element = {.value = word_before_event(w),
                                         .address = (uint64_t)(uintptr_t)&w->word,
                                         .flags = FUTEX_WAIT_ELEMENT_32_PRIVATE};
    return futex_outcome(
        w, syscall(SYS_futex_waitv, &element, 1, 0, timeout_ms < 0 ? NULL : &end, CLOCK_MONOTONIC));
}

static bool open_futex_waitv(struct worker *w) {
    if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS) {
        return not_available(w, "futex_waitv");
    }
    return true;
}

static bool open_condition(struct worker *w) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    errno = pthread_cond_init(&w->cond, &attributes);
    pthread_condattr_destroy(&attributes);
    return errno == 0 || not_available(w, "pthread_cond_init");
}

static bool wake_condition(struct worker *w) {
    pthread_mutex_lock(&w->lock);
    atomic_fetch_add(&w->word, 1);
    pthread_mutex_unlock(&w->lock);
    return pthread_cond_signal(&w->cond) == 0;
}

/* POSIX allows spurious wake-ups; glibc has none without one of its signals, so one here is
 * somebody's doing. */
static enum outcome call_condition(struct worker *w, int timeout_ms) {
    const struct timespec end = deadline_after(CLOCK_MONOTONIC, timeout_ms);
    int result = 0;
    pthread_mutex_lock(&w->lock);
    if (atomic_load(&w->word) == word_before_event(w)) {
        result = timeout_ms < 0 ? pthread_cond_wait(&w->cond, &w->lock)
                                : pthread_cond_timedwait(&w->cond, &w->lock, &end);
    }
    pthread_mutex_unlock(&w->lock);
    errno = result;
    return result == 0 ? OUTCOME_EVENT : outcome_of_errno(w, ETIMEDOUT);
}

static bool open_semaphore(struct worker *w) {
    return sem_init(&w->sem, 0, 0) == 0 || not_available(w, "sem_init");
}

static bool wake_semaphore(struct worker *w) {
    return sem_post(&w->sem) == 0;
}

static enum outcome call_semaphore(struct worker *w, int timeout_ms) {
    const struct timespec end = deadline_after(CLOCK_REALTIME, timeout_ms);
    const int result = timeout_ms < 0 ? sem_wait(&w->sem) : sem_timedwait(&w->sem, &end);
    return result == 0 ? OUTCOME_EVENT : outcome_of_errno(w, ETIMEDOUT);
}

#define ALL_FORMS (FORM_TIMEOUT | FORM_EVENT | FORM_EVENT_OR_TIMEOUT)

const struct kind futex_kinds[] = {
    {.name = "futex_wait", .forms = ALL_FORMS, .call = call_futex_wait, .wake = wake_word},
    {.name = "futex_wait_bitset",
     .forms = ALL_FORMS,
     .call = call_futex_wait_bitset,
     .wake = wake_word},
    {.name = "futex_waitv",
     .forms = ALL_FORMS,
     .open = open_futex_waitv,
     .call = call_futex_waitv,
     .wake = wake_word},
    {.name = "pthread_cond_wait",
     .forms = ALL_FORMS,
     .open = open_condition,
     .call = call_condition,
     .wake = wake_condition},
    {.name = "sem_wait",
     .forms = ALL_FORMS,
     .granularity_ms = 1,
     .open = open_semaphore,
     .call = call_semaphore,
     .wake = wake_semaphore},
    {0},
};
