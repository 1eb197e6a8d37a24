/* Where tracing isn't permitted, as under Yama's ptrace_scope, trees are ended all the same: with
 * the kernel's process events, and without these by stopping the members and looking again. What
 * the report says of its completeness is true.
 */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "kill/restrict.h"

enum { FEW = 3, MANY = 300, GRACE_MS = 50 };

/* Nobody in these ends by itself who has children, so no link to the root is ever lost: the tree is
 * ended whole even where not every fork is heard of. */
static const struct {
    const char *kind;
    int number;
    size_t least;
    bool goes_on_forking; /* and so can lose links where it is asked to end */
} lasting[] = {
    {"wide", 20, 21, false}, {"deaf", 3, 4, false},    {"stopped", 3, 4, false},
    {"groups", 4, 9, false}, {"vfork", 3, 7, false},   {"deep", 50, 51, false},
    {"forks", 0, 2, true},   {"zombies", 3, 4, false}, {"threads", 2, 3, true},
};

/* Of these some lose their parents all the time. */
static const char *const losing[] = {"runners", "workers", "daemons"};

/* A call by a thread that may not trace. */
typedef struct ending {
    const tree_run *run;
    const procinspect_kill_options *options;
    bool no_events;
    bool is_restricted;
    int32_t code;
    procinspect_error error;
    const procinspect_kill_report *report;
} ending;

static void *end_restricted(void *argument) {
    ending *how = argument;
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    how->is_restricted = restrict_thread(how->no_events);
    how->code = procinspect_process_open(context, how->run->root, &process, &how->error);
    atomic_store(&how->run->log->go, 1);
    if (how->is_restricted && how->code == PROCINSPECT_OK)
        how->code = procinspect_kill_tree(process, how->options, &how->report, &how->error);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return NULL;
}

/* The report, which is the caller's, and how many were left of the tree. */
static const procinspect_kill_report *end_tree(const char *kind, int number, bool no_events,
                                               uint32_t grace_ms, int *lost) {
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.grace_ms = grace_ms;
    options.timeout_ms = 30000; /* other tests may keep the machine busy */
    tree_run run;
    tree_start(&run, NULL, kind, number);
    ending how = {.run = &run, .options = &options, .no_events = no_events};
    pthread_t thread;
    bool witnesses_are_well;
    assert_int_equal(pthread_create(&thread, NULL, end_restricted, &how), 0);
    pthread_join(thread, NULL);
    uint64_t read_at_ns = how.report != NULL ? how.report->read_at_ns : 0;
    *lost = tree_clear(&run, read_at_ns, &witnesses_are_well);
    if (!how.is_restricted)
        skip();
    if (how.code != PROCINSPECT_OK)
        fail_msg("%s: %s", procinspect_error_name(how.code), how.error.message);
    assert_true(witnesses_are_well);
    assert_int_equal(how.report->pid, run.root);
    return how.report;
}

/* Whether the kernel's process events can be had here. */
static bool has_events(void) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.flags = PROCINSPECT_KILL_ONLY_CHECK;
    pid_t child = tree_start_witness(); /* the test itself may be the init of a namespace */
    assert_int_equal(procinspect_process_open(context, child, &process, NULL), PROCINSPECT_OK);
    assert_int_equal(procinspect_kill_tree(process, &options, &report, NULL), PROCINSPECT_OK);
    bool is_exact = report->is_exact;
    kill(child, SIGKILL);
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return is_exact;
}

/* An ordinary user's events have little room: some may be lost, and then the report says so. */
static void check_exactness(const procinspect_kill_report *report, bool no_events, bool can_hear) {
    if (no_events)
        assert_false(report->is_exact);
    else if (can_hear && geteuid() == 0)
        assert_true(report->is_exact);
}

static void end_lasting(bool no_events, uint32_t grace_ms) {
    bool can_hear = has_events();
    for (int run = tree_runs(FEW, MANY); run > 0; run--)
        for (size_t i = 0; i < sizeof lasting / sizeof lasting[0]; i++) {
            int lost = 0;
            const procinspect_kill_report *report =
                end_tree(lasting[i].kind, lasting[i].number, no_events, grace_ms, &lost);
            bool may_lose = lasting[i].goes_on_forking && grace_ms != 0 && !report->is_exact;
            if (lost != 0 && !may_lose)
                fail_msg("%s: %d lost, is_exact %d", lasting[i].kind, lost, (int)report->is_exact);
            assert_int_equal(report->survived_count + report->refused_count, 0);
            assert_true(report->count >= lasting[i].least);
            check_exactness(report, no_events, can_hear);
            procinspect_kill_report_free(report);
        }
}

static void end_losing(bool no_events, uint32_t grace_ms) {
    bool can_hear = has_events();
    for (int run = tree_runs(FEW, MANY); run > 0; run--)
        for (size_t i = 0; i < sizeof losing / sizeof losing[0]; i++) {
            int lost = 0;
            const procinspect_kill_report *report =
                end_tree(losing[i], 0, no_events, grace_ms, &lost);
            if (report->is_exact && lost != 0)
                fail_msg("%s: %d lost, and said to be exact", losing[i], lost);
            assert_int_equal(report->survived_count + report->refused_count, 0);
            check_exactness(report, no_events, can_hear);
            procinspect_kill_report_free(report);
        }
}

static void with_process_events(void **state) {
    (void)state;
    end_lasting(false, 0);
    end_losing(false, 0);
}

static void by_stopping_and_looking_again(void **state) {
    (void)state;
    end_lasting(true, 0);
    end_losing(true, 0);
}

static void after_a_grace(void **state) {
    (void)state;
    end_lasting(true, GRACE_MS);
    end_losing(false, GRACE_MS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_process_events),
        cmocka_unit_test(by_stopping_and_looking_again),
        cmocka_unit_test(after_a_grace),
    };
    return cmocka_run_group_tests(tests, tree_run_setup_waiting_for_none, NULL);
}
