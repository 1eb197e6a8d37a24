/* What is never ended, each refused with a text of its own before anything is touched: process 1,
 * threads of the kernel, and, unless it is asked for, a tree that holds the host. */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KERNEL_THREADS_PARENT = 2, GRACE_MS = 1000 };

/* What a host of this file was answered, in a mapping that it shares with the test. */
typedef struct answer {
    int32_t code;
    procinspect_error error;
    bool has_report;
} answer;

static answer *told;
static pid_t bystander; /* below process 1, and below the test */

static void ask_to_end(pid_t pid, uint32_t flags, uint32_t grace_ms) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.flags = flags;
    options.grace_ms = grace_ms;
    memset(told, 0, sizeof *told);
    told->code = procinspect_process_open(context, pid, &process, &told->error);
    if (told->code == PROCINSPECT_OK)
        told->code = procinspect_kill_tree(process, &options, &report, &told->error);
    told->has_report = report != NULL;
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
}

/* It has this text, and none of the others. */
static void check_refused(const char *text) {
    static const char *const all[] = {"is the init of this system or container",
                                      "is a thread of the kernel", "holds this host process"};
    assert_int_equal(told->code, PROCINSPECT_ERROR_PERMISSION);
    assert_int_equal(told->error.code, PROCINSPECT_ERROR_PERMISSION);
    assert_int_equal(told->error.os_errno, 0); /* it isn't the kernel that refuses */
    assert_false(told->has_report);
    if (strstr(told->error.message, text) == NULL)
        fail_msg("no '%s' in: %s", text, told->error.message);
    int found = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        found += strstr(told->error.message, all[i]) != NULL;
    assert_int_equal(found, 1);
    assert_true(tree_goes_on(bystander));
    assert_false(tree_is_traced(bystander));
    assert_false(tree_is_traced(getpid()));
}

/* Also as a mere check, and where the host may be in the tree: these are asked for together, so
 * that a wrong answer ends nobody. */
static void check_always_refused(pid_t pid, const char *text) {
    ask_to_end(pid, 0, 0);
    check_refused(text);
    ask_to_end(pid, 0, GRACE_MS);
    check_refused(text);
    ask_to_end(pid, PROCINSPECT_KILL_ONLY_CHECK | PROCINSPECT_KILL_INCLUDE_HOST, 0);
    check_refused(text);
}

static void process_1(void **state) {
    (void)state;
    check_always_refused(1, "Process 1 is the init of this system or container");
}

static void a_thread_of_the_kernel(void **state) {
    (void)state;
    char name[16] = "", text[64];
    int file = open("/proc/2/comm", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        assert_true(read(file, name, sizeof name - 1) > 0);
        close(file);
    }
    if (strcmp(name, "kthreadd\n") != 0)
        skip(); /* a pid namespace shows none */
    snprintf(text, sizeof text, "The process %d is a thread of the kernel", KERNEL_THREADS_PARENT);
    check_always_refused(KERNEL_THREADS_PARENT, text);
}

static void check_holds(pid_t root, pid_t host) {
    char text[96];
    snprintf(text, sizeof text, "The tree of %d holds this host process, %d", (int)root, (int)host);
    check_refused(text);
    assert_non_null(strstr(told->error.message, "Nothing was stopped."));
}

static void the_host_itself(void **state) {
    (void)state;
    static const uint32_t graces[] = {0, GRACE_MS};
    for (size_t i = 0; i < 2; i++) {
        ask_to_end(getpid(), 0, graces[i]);
        check_holds(getpid(), getpid());
    }
    ask_to_end(getpid(), PROCINSPECT_KILL_ONLY_CHECK, 0);
    check_holds(getpid(), getpid());
    ask_to_end(getpid(), PROCINSPECT_KILL_ONLY_CHECK | PROCINSPECT_KILL_INCLUDE_HOST, 0);
    if (told->code != PROCINSPECT_OK)
        fail_msg("%s", told->error.message);
}

/* The test is the root here, and the host a child of its child. */
static void a_tree_that_holds_the_host(void **state) {
    (void)state;
    int said[2];
    pid_t host = 0, root = getpid();
    assert_int_equal(pipe(said), 0);
    pid_t between = fork();
    if (between == 0) {
        host = fork();
        if (host == 0) {
            ask_to_end(root, 0, 0);
            _exit(0);
        }
        _exit(waitpid(host, NULL, 0) != host || write(said[1], &host, sizeof host) != sizeof host);
    }
    assert_int_equal(waitpid(between, NULL, 0), between);
    assert_int_equal(read(said[0], &host, sizeof host), sizeof host);
    close(said[0]);
    close(said[1]);
    check_holds(root, host);
}

static int set_up(void **state) {
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED || tree_run_setup(state) != 0)
        return -1;
    bystander = tree_start_witness();
    return 0;
}

static int end_bystander(void **state) {
    (void)state;
    return bystander <= 0 || kill(bystander, SIGKILL) != 0 ||
           waitpid(bystander, NULL, 0) != bystander;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_1),
        cmocka_unit_test(a_thread_of_the_kernel),
        cmocka_unit_test(the_host_itself),
        cmocka_unit_test(a_tree_that_holds_the_host),
    };
    return cmocka_run_group_tests(tests, set_up, end_bystander);
}
