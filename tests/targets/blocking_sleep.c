/* Calls that wait for time alone. */
#include "blocking_calls.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static enum outcome call_nanosleep(struct worker *w, int timeout_ms) {
    const struct timespec span = timespec_of_ms(timeout_ms);
    return nanosleep(&span, NULL) == 0 ? OUTCOME_TIMEOUT : outcome_of_errno(w, 0);
}

static enum outcome call_usleep(struct worker *w, int timeout_ms) {
    return usleep((useconds_t)timeout_ms * 1000) == 0 ? OUTCOME_TIMEOUT : outcome_of_errno(w, 0);
}

static enum outcome call_clock_nanosleep(struct worker *w, int timeout_ms) {
    const struct timespec span = timespec_of_ms(timeout_ms);
    errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &span, NULL);
    return errno == 0 ? OUTCOME_TIMEOUT : outcome_of_errno(w, 0);
}

static enum outcome call_clock_nanosleep_until(struct worker *w, int timeout_ms) {
    const struct timespec end = deadline_after(CLOCK_MONOTONIC, timeout_ms);
    errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL);
    return errno == 0 ? OUTCOME_TIMEOUT : outcome_of_errno(w, 0);
}

static enum outcome call_clock_nanosleep_until_realtime(struct worker *w, int timeout_ms) {
    const struct timespec end = deadline_after(CLOCK_REALTIME, timeout_ms);
    errno = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &end, NULL);
    return errno == 0 ? OUTCOME_TIMEOUT : outcome_of_errno(w, 0);
}

const struct kind sleep_kinds[] = {
    {.name = "nanosleep", .forms = FORM_TIMEOUT, .call = call_nanosleep},
    {.name = "usleep", .forms = FORM_TIMEOUT, .call = call_usleep},
    {.name = "clock_nanosleep", .forms = FORM_TIMEOUT, .call = call_clock_nanosleep},
    {.name = "clock_nanosleep_abs", .forms = FORM_TIMEOUT, .call = call_clock_nanosleep_until},
    {.name = "clock_nanosleep_abs_rt",
     .forms = FORM_TIMEOUT,
     .granularity_ms = 1,
     .call = call_clock_nanosleep_until_realtime},
    {0},
};
