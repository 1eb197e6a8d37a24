/* SPDX-License-Identifier: MIT */
/* What the host's process group is sent doesn't reach the helper, which may hold a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/linux/trace/helper.h"
#include "platform/linux/trace/helper_system_call.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__has_feature)
#define IN_HELPER __attribute__((no_sanitize("address", "undefined", "thread"), noinline))
#else
#define IN_HELPER __attribute__((noinline))
#endif

enum { WAIT_LIMIT_MS = 15000 };

static const uint64_t limit_ns = UINT64_C(20000000000);

/* Shared with the host process, and with its helper. */
typedef struct job_state {
    atomic_bool has_begun;
    atomic_bool may_end;
    atomic_bool has_ended;
} job_state;

IN_HELPER static void wait_for_permission(pi_helper *helper, void *argument) {
    job_state *state = argument;
    struct timespec step = {0, 1000000};
    atomic_store(&state->has_begun, true);
    while (!atomic_load(&state->may_end) && !pi_helper_must_stop(helper))
        raw_call(SYS_nanosleep, (long)&step, 0, 0, 0);
    atomic_store(&state->has_ended, atomic_load(&state->may_end));
}

/* A host that leads a group of its own and ignores the alarm: 0 where its helper came to its end.
 */
static int be_host(job_state *state) {
    pi_helper_job job = {.run = wait_for_permission, .argument = state, .limit_ns = limit_ns};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    signal(SIGALRM, SIG_IGN);
    return pi_helper_run(&job, NULL) == PROCINSPECT_OK ? 0 : 1;
}

static void wait_until(const atomic_bool *condition) {
    for (unsigned ms = 0; ms < WAIT_LIMIT_MS && !atomic_load(condition); ms++)
        usleep(1000);
    assert_true(atomic_load(condition));
}

static pid_t start_host(job_state **state) {
    *state = mmap(NULL, sizeof **state, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(*state, MAP_FAILED);
    pid_t host = fork();
    assert_true(host >= 0);
    if (host == 0)
        _exit(be_host(*state));
    wait_until(&(*state)->has_begun);
    return host;
}

static void assert_ends_well(pid_t host, job_state *state) {
    int status;
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(atomic_load(&state->has_ended));
    munmap(state, sizeof *state);
}

static void the_alarm_of_others_is_no_end(void **unused) {
    (void)unused;
    job_state *state;
    pid_t host = start_host(&state);
    assert_int_equal(kill(-host, SIGALRM), 0);
    usleep(20000); /* in which it would end */
    atomic_store(&state->may_end, true);
    assert_ends_well(host, state);
}

static void a_stopped_host_has_no_stopped_helper(void **unused) {
    (void)unused;
    job_state *state;
    int status;
    pid_t host = start_host(&state);
    assert_int_equal(kill(-host, SIGSTOP), 0);
    assert_int_equal(waitpid(host, &status, WUNTRACED), host);
    assert_true(WIFSTOPPED(status));
    atomic_store(&state->may_end, true);
    wait_until(&state->has_ended);
    assert_int_equal(kill(host, SIGCONT), 0);
    assert_ends_well(host, state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_alarm_of_others_is_no_end),
        cmocka_unit_test(a_stopped_host_has_no_stopped_helper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
