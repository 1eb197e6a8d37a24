/* The workers: one thread for each kind and form, the thread that makes their events, and the
 * verdict. */
#include "blocking_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS_MAX = 512, LONG_TIMEOUT_MS = 600000, WAKE_PERIOD_MS = 200, QUIT_LIMIT_MS = 20000 };

/* What each form becomes: with which timeout, and how often its event comes. */
struct variant {
    unsigned form;
    const char *suffix;
    int timeout_ms;
    int wake_period_ms;
};

static const struct variant variants[] = {
    {FORM_TIMEOUT, "50ms", 50, 0},
    {FORM_TIMEOUT, "200ms", 200, 0},
    {FORM_EVENT, "event", -1, WAKE_PERIOD_MS},
    {FORM_EVENT, "forever", -1, -1},
    {FORM_EVENT_OR_TIMEOUT, "event-600s", LONG_TIMEOUT_MS, WAKE_PERIOD_MS},
    {FORM_EVENT_OR_TIMEOUT, "forever-600s", LONG_TIMEOUT_MS, -1},
};

static const struct kind *const groups[] = {
    sleep_kinds, futex_kinds,  poll_kinds,    read_kinds, socket_kinds,
    ipc_kinds,   signal_kinds, process_kinds, aio_kinds,
};

_Thread_local struct worker *current_worker;

static struct worker workers[WORKERS_MAX];
static unsigned worker_count;
static atomic_bool stopping_waker;
static atomic_bool quitting;
static pthread_t waker;

uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

struct timespec timespec_of_ms(int ms) {
    return (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
}

struct timespec deadline_after(clockid_t clock, int timeout_ms) {
    struct timespec end;
    clock_gettime(clock, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (end.tv_nsec >= 1000000000L) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000L;
    }
    return end;
}

void note_detail(struct worker *w, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&w->detail_lock);
    if (w->detail[0] == '\0') {
        vsnprintf(w->detail, sizeof w->detail, format, arguments);
    }
    pthread_mutex_unlock(&w->detail_lock);
    va_end(arguments);
}

enum outcome outcome_of_errno(struct worker *w, int timeout_errno) {
    if (timeout_errno != 0 && errno == timeout_errno) {
        return OUTCOME_TIMEOUT;
    }
    if (errno == EINTR) {
        return OUTCOME_INTERRUPTED;
    }
    note_detail(w, "errno %d (%s)", errno, strerror(errno));
    return OUTCOME_WRONG;
}

enum outcome outcome_of_value(struct worker *w, int64_t value, int64_t expected) {
    note_detail(w, "value %lld in place of %lld", (long long)value, (long long)expected);
    return OUTCOME_WRONG;
}

bool not_available(struct worker *w, const char *what) {
    note_detail(w, "no %s here: %s", what, strerror(errno));
    return false;
}

unsigned next_event(const struct worker *w) {
    return atomic_load(&w->events_seen) + 1;
}

bool worker_is_in_syscall(const struct worker *w, long number) {
    char path[64];
    char text[32] = "";
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", atomic_load(&w->tid));
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    char *end = text;
    return length > 0 && strtol(text, &end, 10) == number && end != text;
}

static void judge_timeout(struct worker *w, uint64_t elapsed_ns) {
    const uint64_t timeout_ns = (uint64_t)w->timeout_ms * 1000000U;
    const uint64_t granularity_ns = (uint64_t)w->kind->granularity_ms * 1000000U;
    if (elapsed_ns + granularity_ns < timeout_ns) {
        atomic_fetch_add(&w->early, 1);
        note_detail(w, "time over after %llu us", (unsigned long long)(elapsed_ns / 1000));
        return;
    }
    const unsigned late_ms =
        elapsed_ns > timeout_ns ? (unsigned)((elapsed_ns - timeout_ns) / 1000000U) : 0;
    if (late_ms > atomic_load(&w->latest_ms)) {
        atomic_store(&w->latest_ms, late_ms);
    }
}

static void judge(struct worker *w, enum outcome outcome, uint64_t elapsed_ns) {
    atomic_fetch_add(&w->calls, 1);
    switch (outcome) {
    case OUTCOME_TIMEOUT:
        judge_timeout(w, elapsed_ns);
        break;
    case OUTCOME_EVENT:
        if (atomic_load(&w->events_sent) < next_event(w)) {
            atomic_fetch_add(&w->early, 1);
            note_detail(w, "event %u before it was made", next_event(w));
        } else {
            atomic_fetch_add(&w->events_seen, 1);
        }
        break;
    case OUTCOME_INTERRUPTED:
        atomic_fetch_add(&w->interrupted, 1);
        note_detail(w, "EINTR after %llu us", (unsigned long long)(elapsed_ns / 1000));
        break;
    case OUTCOME_WRONG:
        atomic_fetch_add(&w->wrong, 1);
        break;
    }
}

/* The last event is made once `quitting` is set; a timed worker ends with the call it is in. */
static bool worker_is_done(const struct worker *w) {
    if (!atomic_load(&quitting)) {
        return false;
    }
    return w->wake_period_ms == 0 || atomic_load(&w->events_seen) == atomic_load(&w->final_event);
}

static void *run_worker(void *argument) {
    struct worker *w = argument;
    bool armed = false;
    current_worker = w;
    atomic_store(&w->tid, (int)syscall(SYS_gettid));
    while (!worker_is_done(w)) {
        /* A violation leaves what was armed as it was: the event is still to come. */
        const unsigned seen = atomic_load(&w->events_seen);
        if (!armed && w->kind->arm != NULL && !w->kind->arm(w)) {
            note_detail(w, "preparing the call failed: %s", strerror(errno));
            atomic_fetch_add(&w->wrong, 1);
            break;
        }
        atomic_store(&w->waiting_for, seen + 1);
        const uint64_t start_ns = monotonic_ns();
        const enum outcome outcome = w->kind->call(w, w->timeout_ms);
        judge(w, outcome, monotonic_ns() - start_ns);
        armed = atomic_load(&w->events_seen) == seen;
        if (atomic_load(&w->wrong) > 1000) {
            break;
        }
    }
    atomic_store(&w->ended, true);
    return NULL;
}

/* Only a worker that is prepared and has had all its events gets the next: events never pile up. */
static void wake_worker(struct worker *w) {
    const unsigned sent = atomic_load(&w->events_sent);
    if (atomic_load(&w->ended) || atomic_load(&w->waiting_for) != sent + 1) {
        return;
    }
    w->last_wake_ns = monotonic_ns();
    atomic_store(&w->events_sent, sent + 1);
    if (!w->kind->wake(w)) {
        note_detail(w, "making the event failed: %s", strerror(errno));
        atomic_fetch_add(&w->wrong, 1);
    }
}

static void *run_waker(void *unused) {
    (void)unused;
    while (!atomic_load(&stopping_waker)) {
        const uint64_t now_ns = monotonic_ns();
        for (unsigned i = 0; i < worker_count; i++) {
            struct worker *w = &workers[i];
            if (w->wake_period_ms > 0 &&
                now_ns - w->last_wake_ns >= (uint64_t)w->wake_period_ms * 1000000U) {
                wake_worker(w);
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return NULL;
}

static bool start_worker(const struct kind *kind, const struct variant *variant) {
    struct worker *w = &workers[worker_count];
    w->kind = kind;
    w->timeout_ms = variant->timeout_ms;
    w->wake_period_ms = variant->wake_period_ms;
    w->ipc_id = -1;
    w->last_wake_ns = monotonic_ns();
    for (size_t i = 0; i < sizeof w->fds / sizeof *w->fds; i++) {
        w->fds[i] = -1;
    }
    snprintf(w->name, sizeof w->name, "%s/%s", kind->name, variant->suffix);
    pthread_mutex_init(&w->detail_lock, NULL);
    pthread_mutex_init(&w->lock, NULL);
    if (kind->open != NULL && !kind->open(w)) {
        printf("skipped %s: %s\n", w->name, w->detail);
        if (kind->close != NULL) {
            kind->close(w);
        }
        memset(w, 0, sizeof *w);
        return true;
    }
    if (pthread_create(&w->thread, NULL, run_worker, w) != 0) {
        return false;
    }
    pthread_setname_np(w->thread, kind->name);
    worker_count++;
    return true;
}

bool workers_start(void) {
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        for (const struct kind *kind = groups[g]; kind->name != NULL; kind++) {
            for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
                if ((kind->forms & variants[v].form) != 0 &&
                    (worker_count == WORKERS_MAX || !start_worker(kind, &variants[v]))) {
                    return false;
                }
            }
        }
    }
    return pthread_create(&waker, NULL, run_waker, NULL) == 0;
}

static bool all_ended(void) {
    for (unsigned i = 0; i < worker_count; i++) {
        if (!atomic_load(&workers[i].ended)) {
            return false;
        }
    }
    return true;
}

bool workers_quit(void) {
    /* Each worker gets one more event than it had; the number stands before anyone can look at it.
     */
    const uint64_t end_ns = monotonic_ns() + QUIT_LIMIT_MS * UINT64_C(1000000);
    atomic_store(&stopping_waker, true);
    pthread_join(waker, NULL);
    for (unsigned i = 0; i < worker_count; i++) {
        atomic_store(&workers[i].final_event, atomic_load(&workers[i].events_sent) + 1);
    }
    atomic_store(&quitting, true);
    while (!all_ended() && monotonic_ns() < end_ns) {
        for (unsigned i = 0; i < worker_count; i++) {
            struct worker *w = &workers[i];
            if (w->wake_period_ms != 0 &&
                atomic_load(&w->events_sent) < atomic_load(&w->final_event)) {
                wake_worker(w);
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    for (unsigned i = 0; i < worker_count; i++) {
        struct worker *w = &workers[i];
        if (!atomic_load(&w->ended)) {
            atomic_fetch_add(&w->wrong, 1);
            note_detail(w, "did not wake up for event %u", atomic_load(&w->events_sent));
            continue;
        }
        pthread_join(w->thread, NULL);
        if (w->kind->close != NULL) {
            w->kind->close(w);
        }
    }
    return all_ended();
}

unsigned workers_report(void) {
    unsigned violations = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        struct worker *w = &workers[i];
        const unsigned early = atomic_load(&w->early);
        const unsigned interrupted = atomic_load(&w->interrupted);
        const unsigned wrong = atomic_load(&w->wrong);
        pthread_mutex_lock(&w->detail_lock);
        printf("%s calls %u early %u eintr %u wrong %u late_ms %u%s%s\n", w->name,
               atomic_load(&w->calls), early, interrupted, wrong, atomic_load(&w->latest_ms),
               w->detail[0] == '\0' ? "" : " first: ", w->detail);
        pthread_mutex_unlock(&w->detail_lock);
        violations += early + interrupted + wrong;
    }
    return violations;
}
