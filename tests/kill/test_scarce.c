/* With fewer descriptors than members: what is forked while the tree is being ended is ended all
 * the same, and what can't be told to have ended isn't told to have. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The limit lets the root be ended, and some of its children, but not all at once. */
enum {
    CHILDREN = 40,
    LIMIT = 32,
    FIRST_GRACE_MS = 1000,
    LONGEST_GRACE_MS = 64000,
    LONGEST_LIFE_S = 300
};

typedef struct family {
    atomic_int ready, forked;
    pid_t children[CHILDREN];
    int32_t code;
    uint32_t count, ended_count, alive_count;
    procinspect_error error;
} family;

static family *shared;
static volatile sig_atomic_t was_asked;

static void note_asked(int signal) {
    (void)signal;
    was_asked = 1;
}

static _Noreturn void stand(void) {
    signal(SIGTERM, SIG_IGN);
    alarm(LONGEST_LIFE_S);
    for (;;)
        pause();
}

/* Forks when it is asked to end. */
static _Noreturn void be_root(void) {
    signal(SIGTERM, note_asked);
    atomic_store(&shared->ready, 1);
    while (!was_asked)
        usleep(1000);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0)
            stand();
        shared->children[i] = child;
    }
    atomic_store(&shared->forked, 1);
    stand();
}

static _Noreturn void be_host(pid_t root, uint32_t grace_ms) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.grace_ms = grace_ms;
    options.timeout_ms = 30000;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){LIMIT, LIMIT}) != 0)
        _exit(7);
    shared->code = procinspect_process_open(context, root, &process, &shared->error);
    if (shared->code == PROCINSPECT_OK)
        shared->code = procinspect_kill_tree(process, &options, &report, &shared->error);
    if (shared->code == PROCINSPECT_OK) {
        shared->count = (uint32_t)report->count;
        shared->ended_count = report->ended_count;
        shared->alive_count = report->survived_count + report->refused_count;
    }
    _exit(0);
}

/* False where the root had no time to fork them all: the grace, which it has for that, begins with
 * the signal, and not when it gets a processor. */
static bool end_members_without_a_descriptor(uint32_t grace_ms) {
    memset(shared, 0, sizeof *shared);
    pid_t root = fork();
    if (root == 0)
        be_root();
    assert_true(root > 0);
    while (!atomic_load(&shared->ready))
        usleep(1000);
    pid_t host = fork();
    if (host == 0)
        be_host(root, grace_ms);
    assert_int_equal(waitpid(host, NULL, 0), host);
    int left = 0;
    for (int i = 0; i < CHILDREN && shared->children[i] > 0; i++) {
        char now = tree_state(shared->children[i], NULL);
        left += now != '?' && now != 'Z' && now != 'X';
    }
    for (int i = 0; i < CHILDREN && shared->children[i] > 0; i++)
        kill(shared->children[i], SIGKILL); /* our orphans: not yet waited for */
    kill(root, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    if (shared->code != PROCINSPECT_OK)
        fail_msg("%s", shared->error.message);
    if (!atomic_load(&shared->forked))
        return false;
    assert_int_equal(left, shared->alive_count);
    assert_int_equal(shared->count, 1 + CHILDREN);
    if (tree_may_be_traced())
        assert_int_equal(shared->ended_count, 1 + CHILDREN);
    return true;
}

static void members_without_a_descriptor(void **state) {
    (void)state;
    for (uint32_t grace_ms = FIRST_GRACE_MS; !end_members_without_a_descriptor(grace_ms);
         grace_ms *= 4)
        assert_true(grace_ms < LONGEST_GRACE_MS);
}

static int share_family(void **state) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : tree_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_without_a_descriptor),
    };
    return cmocka_run_group_tests(tests, share_family, NULL);
}
