/* The host ends the tree that it is in itself: all others first, then itself, and the call doesn't
 * return. Where it does, the host is as it was before. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill/restrict.h"

enum {
    FEW = 10,
    MANY = 1000,
    GRACE_MS = 300,
    LONG_GRACE_MS = 60000,
    END_LIMIT_MS = 60000,
    LONGEST_LIFE_S = 120
};

/* Who stands where. ROOT and SIBLING are only there where the host isn't the root itself. */
enum { HOST, CHILD, GRANDCHILD, LEADER, LEADERS_CHILD, DEAF, ROOT, SIBLING, ROLES };

/* What the processes of this file share. */
typedef struct stage {
    atomic_int ready, go;
    atomic_int host_was_asked; /* how often SIGTERM reached it */
    pid_t pids[ROLES];
    /* Of a call that returned. */
    int32_t code;
    procinspect_error error;
    uint32_t count, not_tried_count, ended_count;
    uint64_t total_ns;
    int is_reaper;
} stage;

static stage *shared;
static bool is_restricted; /* the host may not trace, nor hear of forks */

static void wait_until(atomic_int *value, int wanted) {
    while (atomic_load(value) < wanted)
        usleep(500);
}

static void take(int role) {
    alarm(LONGEST_LIFE_S); /* should the test be killed; a parent's end mustn't end its children */
    shared->pids[role] = getpid();
    atomic_fetch_add(&shared->ready, 1);
}

static _Noreturn void stand(int role) {
    take(role);
    for (;;)
        pause();
}

static void note_asked(int signal) {
    (void)signal;
    atomic_fetch_add(&shared->host_was_asked, 1);
}

static void start_children(void) {
    if (fork() == 0) {
        if (fork() == 0)
            stand(GRANDCHILD);
        stand(CHILD);
    }
    if (fork() == 0) {
        setsid();
        if (fork() == 0)
            stand(LEADERS_CHILD);
        stand(LEADER);
    }
    if (fork() == 0) {
        signal(SIGTERM, SIG_IGN);
        stand(DEAF);
    }
}

static void end_tree_of(pid_t pid, const procinspect_kill_options *options) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    shared->code = procinspect_process_open(context, pid, &process, &shared->error);
    if (shared->code == PROCINSPECT_OK)
        shared->code = procinspect_kill_tree(process, options, &report, &shared->error);
    prctl(PR_GET_CHILD_SUBREAPER, &shared->is_reaper, 0, 0, 0);
    if (shared->code == PROCINSPECT_OK) {
        shared->count = (uint32_t)(report->count - report->escaped_count);
        shared->ended_count = report->ended_count;
        shared->total_ns = report->total_ns;
        for (size_t i = 0; i < report->count; i++)
            shared->not_tried_count += report->items[i]->outcome == PROCINSPECT_KILL_NOT_TRIED;
    }
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

/* Ends the tree of `role`; goes on only where the call returns. */
static _Noreturn void be_host(int role, const procinspect_kill_options *options) {
    start_children();
    signal(SIGTERM, note_asked);
    take(HOST);
    if (is_restricted && !restrict_thread(true))
        _exit(7);
    wait_until(&shared->go, 1);
    end_tree_of(shared->pids[role], options);
    atomic_store(&shared->go, 2);
    for (;;)
        pause();
}

/* `role` is HOST, where the host is the root; ROOT, where it is a child of it; or one of its
 * children. */
static int start(int role, const procinspect_kill_options *options) {
    int members = role == ROOT ? ROLES : ROOT;
    memset(shared, 0, sizeof *shared);
    pid_t first = fork();
    assert_true(first >= 0);
    if (first == 0) {
        if (role != ROOT)
            be_host(role, options);
        if (fork() == 0)
            be_host(role, options);
        if (fork() == 0)
            stand(SIBLING);
        stand(ROOT);
    }
    wait_until(&shared->ready, members);
    return members;
}

static procinspect_kill_options options_of(uint32_t flags, uint32_t grace_ms) {
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.flags = flags;
    options.grace_ms = grace_ms;
    options.timeout_ms = 30000; /* other tests may keep the machine busy */
    return options;
}

static bool has_ended(int pidfd, int limit_ms) {
    return poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, limit_ms) == 1;
}

static void clear(pid_t witness) {
    assert_true(tree_goes_on(witness));
    kill(witness, SIGKILL);
    for (int i = 0; i < ROLES; i++)
        if (shared->pids[i] > 0)
            kill(shared->pids[i], SIGKILL); /* our orphans: not yet waited for */
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

/* All others have ended when the host does. */
static void host_ends_last(int role, uint32_t grace_ms) {
    const procinspect_kill_options options = options_of(PROCINSPECT_KILL_INCLUDE_HOST, grace_ms);
    int pidfds[ROLES], status = 0;
    pid_t witness = tree_start_witness();
    int members = start(role, &options);
    for (int i = 0; i < members; i++) {
        pidfds[i] = (int)syscall(SYS_pidfd_open, shared->pids[i], 0);
        assert_true(pidfds[i] >= 0);
    }
    atomic_store(&shared->go, 1);
    if (!has_ended(pidfds[HOST], END_LIMIT_MS))
        fail_msg("the host lives: %d %s", (int)shared->code, shared->error.message);
    for (int i = 0; i < members; i++) {
        assert_true(has_ended(pidfds[i], 0));
        close(pidfds[i]);
    }
    assert_int_equal(waitpid(shared->pids[HOST], &status, 0), shared->pids[HOST]);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_int_equal(atomic_load(&shared->go), 1); /* the call didn't return */
    assert_int_equal(atomic_load(&shared->host_was_asked), 0);
    shared->pids[HOST] = 0;
    clear(witness);
}

static void a_host_that_is_the_root(void **state) {
    (void)state;
    for (int i = tree_runs(FEW, MANY); i > 0; i--)
        host_ends_last(HOST, 0);
}

static void a_host_amid_its_tree(void **state) {
    (void)state;
    for (int i = tree_runs(FEW, MANY); i > 0; i--)
        host_ends_last(ROOT, 0);
}

/* One member ignores SIGTERM, and the host isn't sent it. */
static void a_grace(void **state) {
    (void)state;
    for (int i = tree_runs(2, 100); i > 0; i--) {
        host_ends_last(HOST, GRACE_MS);
        host_ends_last(ROOT, GRACE_MS);
    }
}

static void a_host_that_may_not_trace(void **state) {
    (void)state;
    static const int roles[] = {HOST, ROOT};
    is_restricted = true;
    for (int run = tree_runs(3, MANY); run > 0; run--)
        for (int i = 0; i < 2; i++) {
            host_ends_last(roles[i], 0);
            host_ends_last(roles[i], GRACE_MS);
        }
    is_restricted = false;
}

static void all_run(int members) {
    for (int i = 0; i < members; i++) {
        for (int step = 0; step < 1000 && !tree_goes_on(shared->pids[i]); step++)
            usleep(1000); /* what is let go of is stopped for a moment more */
        assert_true(tree_goes_on(shared->pids[i]));
    }
    assert_int_equal(shared->is_reaper, 0);
}

/* The host's call, which succeeds. */
static void let_it_return(void) {
    atomic_store(&shared->go, 1);
    wait_until(&shared->go, 2);
    if (shared->code != PROCINSPECT_OK)
        fail_msg("%s", shared->error.message);
}

static void only_a_check(void **state) {
    (void)state;
    const procinspect_kill_options options =
        options_of(PROCINSPECT_KILL_INCLUDE_HOST | PROCINSPECT_KILL_ONLY_CHECK, GRACE_MS);
    static const int roles[] = {HOST, ROOT};
    for (int i = 0; i < 2; i++) {
        pid_t witness = tree_start_witness();
        int members = start(roles[i], &options);
        let_it_return();
        assert_int_equal(shared->count, members);
        assert_int_equal(shared->not_tried_count, members);
        all_run(members);
        clear(witness);
    }
}

/* Which may be in the tree, and isn't. */
static void a_tree_without_the_host(void **state) {
    (void)state;
    const procinspect_kill_options options = options_of(PROCINSPECT_KILL_INCLUDE_HOST, 0);
    pid_t witness = tree_start_witness();
    start(LEADER, &options);
    let_it_return();
    assert_int_equal(shared->count, 2);
    assert_int_equal(shared->ended_count, 2);
    assert_int_equal(shared->is_reaper, 0);
    assert_int_equal(tree_state(shared->pids[LEADER], NULL), 'Z');
    assert_false(tree_goes_on(shared->pids[LEADERS_CHILD]));
    assert_true(tree_goes_on(shared->pids[HOST]) && tree_goes_on(shared->pids[CHILD]) &&
                tree_goes_on(shared->pids[GRANDCHILD]) && tree_goes_on(shared->pids[DEAF]));
    clear(witness);
}

/* And ends not sooner for that: its one member ignores SIGTERM. */
static void a_grace_without_the_host(void **state) {
    (void)state;
    const procinspect_kill_options options = options_of(PROCINSPECT_KILL_INCLUDE_HOST, GRACE_MS);
    pid_t witness = tree_start_witness();
    start(DEAF, &options);
    let_it_return();
    assert_int_equal(shared->ended_count, 1);
    assert_true(shared->total_ns >= GRACE_MS * UINT64_C(1000000));
    clear(witness);
}

static void *request_soon(void *cancellation) {
    wait_until(&shared->go, 1);
    usleep(GRACE_MS * 1000);
    procinspect_cancellation_request(cancellation);
    return NULL;
}

static _Noreturn void be_host_that_cancels(void) {
    procinspect_kill_options options = options_of(PROCINSPECT_KILL_INCLUDE_HOST, LONG_GRACE_MS);
    pthread_t thread;
    if (procinspect_cancellation_new(&options.cancellation, NULL) != PROCINSPECT_OK ||
        pthread_create(&thread, NULL, request_soon, options.cancellation) != 0)
        _exit(7);
    be_host(HOST, &options);
}

/* In the grace: those that heed SIGTERM have ended, the others and the host run on. */
static void a_kill_that_is_cancelled(void **state) {
    (void)state;
    memset(shared, 0, sizeof *shared);
    pid_t witness = tree_start_witness();
    if (fork() == 0)
        be_host_that_cancels();
    wait_until(&shared->ready, ROOT);
    atomic_store(&shared->go, 1);
    wait_until(&shared->go, 2);
    assert_int_equal(shared->code, PROCINSPECT_ERROR_CANCELLED);
    assert_int_equal(shared->is_reaper, 0);
    assert_int_equal(atomic_load(&shared->host_was_asked), 0);
    for (int step = 0; step < 1000 && !tree_goes_on(shared->pids[DEAF]); step++)
        usleep(1000);
    assert_true(tree_goes_on(shared->pids[HOST]) && tree_goes_on(shared->pids[DEAF]));
    clear(witness);
}

static int share_stage(void **state) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : tree_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_that_is_the_root),
        cmocka_unit_test(a_host_amid_its_tree),
        cmocka_unit_test(a_grace),
        cmocka_unit_test(a_host_that_may_not_trace),
        cmocka_unit_test(only_a_check),
        cmocka_unit_test(a_tree_without_the_host),
        cmocka_unit_test(a_grace_without_the_host),
        cmocka_unit_test(a_kill_that_is_cancelled),
    };
    return cmocka_run_group_tests(tests, share_stage, NULL);
}
