/* SPDX-License-Identifier: MIT */
/* The helper's scheduling class while it lets threads go, and after that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/trace/helper.h"

enum { NICE = 7, REAL_TIME = 5, NOBODY = 65534 };

typedef struct scheduling {
    int policy;
    int priority;
    int nice;
} scheduling;

/* What a process with this policy becomes, during and after. */
typedef struct course {
    bool is_set;
    bool may_not;
    scheduling during;
    scheduling after;
} course;

static scheduling own_scheduling(void) {
    struct sched_param parameters = {0};
    sched_getparam(0, &parameters);
    return (scheduling){sched_getscheduler(0), parameters.sched_priority,
                        getpriority(PRIO_PROCESS, 0)};
}

static void run(course *result, int policy, int priority, bool as_nobody) {
    struct sched_param parameters = {.sched_priority = priority};
    pi_helper helper = {0};
    result->is_set =
        setpriority(PRIO_PROCESS, 0, NICE) == 0 && sched_setscheduler(0, policy, &parameters) == 0;
    if (as_nobody)
        result->is_set = result->is_set && setrlimit(RLIMIT_RTPRIO, &(struct rlimit){0, 0}) == 0 &&
                         (geteuid() != 0 || setresuid(NOBODY, NOBODY, NOBODY) == 0);
    scheduling before = own_scheduling();
    result->may_not = sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){1}) != 0;
    if (!result->may_not)
        sched_setscheduler(0, before.policy, &(struct sched_param){before.priority});
    pi_helper_hold_processor(&helper);
    result->during = own_scheduling();
    pi_helper_share_processor(&helper);
    result->after = own_scheduling();
}

/* In a process of its own: an ordinary user can't take back what it sets. */
static course course_of(int policy, int priority, bool as_nobody) {
    course *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run(shared, policy, priority, as_nobody);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    course result = *shared;
    munmap(shared, sizeof *shared);
    return result;
}

static void assert_scheduling(scheduling is, int policy, int priority) {
    assert_int_equal(is.policy, policy);
    assert_int_equal(is.priority, priority);
    assert_int_equal(is.nice, NICE);
}

static void the_privileged_get_it_for_a_while(void **state) {
    static const int policies[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE,
                                   SCHED_OTHER | SCHED_RESET_ON_FORK};
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++) {
        course was = course_of(policies[i], 0, false);
        assert_true(was.is_set);
        if (was.may_not)
            skip(); /* an ordinary user, or a container */
        assert_scheduling(was.during, SCHED_FIFO, 1);
        assert_scheduling(was.after, policies[i], 0);
    }
}

static void others_stay_as_they_are(void **state) {
    (void)state;
    course was = course_of(SCHED_OTHER, 0, true);
    assert_true(was.is_set && was.may_not);
    assert_scheduling(was.during, SCHED_OTHER, 0);
    assert_scheduling(was.after, SCHED_OTHER, 0);
}

static void a_real_time_host_keeps_its_own_class(void **state) {
    (void)state;
    course was = course_of(SCHED_RR, REAL_TIME, false);
    if (!was.is_set)
        skip();
    assert_scheduling(was.during, SCHED_RR, REAL_TIME);
    assert_scheduling(was.after, SCHED_RR, REAL_TIME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_privileged_get_it_for_a_while),
        cmocka_unit_test(others_stay_as_they_are),
        cmocka_unit_test(a_real_time_host_keeps_its_own_class),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
