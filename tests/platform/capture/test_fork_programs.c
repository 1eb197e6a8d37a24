/* Forks of programs that are linked, or written, in other ways than the tests are. */
#include "platform/capture/child.h"
#include "platform/capture/fork_run.h"
#include "platform/module_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <procinspect/dump.h>

#define PROGRAM(name) TESTS_BUILD_DIR "/platform/capture/program_" name

static const char *const no_arguments[4];

static void assert_forks_well(pid_t pid) {
    for (int i = 0; i < 3; i++) {
        fork_once(pid);
        assert_true(count_children(pid) <= 0);
    }
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    target_end(pid);
}

static void assert_forks(const char *program, const char *const arguments[4]) {
    assert_forks_well(target_start(program, arguments));
}

/* Says what isn't there, where it isn't. */
static void skip_without(const char *program) {
    if (access(program, X_OK) == 0)
        return;
    print_message("# %s isn't there\n", program);
    skip();
}

static void linked_in_each_way(void **state) {
    (void)state;
    assert_forks(TARGET("pie"), no_arguments);
    assert_forks(TARGET("fixed"), no_arguments);
    assert_forks(TARGET("static"), no_arguments);
    assert_forks(TARGET("static_pie"), no_arguments);
}

/* Threads that run and threads that sleep; it says "ready", and ends by itself where a sleep was
 * short. */
static const char python_program[] = "import threading, time, sys, os\n"
                                     "def run():\n"
                                     "    value = 0\n"
                                     "    while True:\n"
                                     "        value = (value * 31 + 7) % 1000003\n"
                                     "def rest():\n"
                                     "    while True:\n"
                                     "        begin = time.monotonic()\n"
                                     "        time.sleep(0.002)\n"
                                     "        if time.monotonic() - begin < 0.002:\n"
                                     "            os._exit(3)\n"
                                     "for what in (run, rest, rest):\n"
                                     "    threading.Thread(target=what, daemon=True).start()\n"
                                     "os.write(1, b'ready\\n')\n"
                                     "rest()\n";

static void python(void **state) {
    (void)state;
    const char *const arguments[4] = {"-c", python_program, NULL, NULL};
    skip_without("/usr/bin/python3");
    assert_forks("/usr/bin/python3", arguments);
}

/* Through its main thread, which waits; the others are the runtime's. */
static const char node_program[] = "const word = new Int32Array(new SharedArrayBuffer(4));\n"
                                   "require('fs').writeSync(1, 'ready\\n');\n"
                                   "for (;;) {\n"
                                   "    const begin = process.hrtime.bigint();\n"
                                   "    if (Atomics.wait(word, 0, 0, 2) !== 'timed-out' ||\n"
                                   "        process.hrtime.bigint() - begin < 2000000n)\n"
                                   "        process.exit(3);\n"
                                   "}\n";

static void node(void **state) {
    (void)state;
    const char *const arguments[4] = {"-e", node_program, NULL, NULL};
    skip_without("/usr/bin/node");
    assert_forks("/usr/bin/node", arguments);
}

static size_t count_threads(pid_t pid) {
    char path[64];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *task = opendir(path);
    assert_non_null(task);
    while (readdir(task) != NULL)
        count++;
    closedir(task);
    return count;
}

/* A program of the runtime's own that reads its standard input, which never has anything: it needs
 * no compiler. */
static void java(void **state) {
    (void)state;
    enum { USUAL_THREADS = 12, MOST_MS = 60000 };
    static const char script[] =
        "exec <>\"$0\"; echo ready; exec java sun.security.tools.keytool.Main -printcert "
        ">/dev/null 2>&1";
    char folder[FOLDER_SIZE], pipe_path[FOLDER_SIZE + 8];
    skip_without("/usr/bin/java");
    folder_make(folder);
    snprintf(pipe_path, sizeof pipe_path, "%s/pipe", folder);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    const char *const with_pipe[4] = {"-c", script, pipe_path, NULL};
    pid_t pid = target_start("/bin/sh", with_pipe);
    for (int i = 0; i < MOST_MS && count_threads(pid) < USUAL_THREADS; i++)
        sleep_ms(1);
    assert_true(count_threads(pid) >= USUAL_THREADS);
    assert_forks_well(pid);
    unlink(pipe_path);
    folder_remove(folder);
}

static void go(void **state) {
    (void)state;
    skip_without(PROGRAM("go"));
    assert_forks(PROGRAM("go"), no_arguments);
}

static void musl(void **state) {
    (void)state;
    skip_without(PROGRAM("musl"));
    assert_forks(PROGRAM("musl"), no_arguments);
}

/* It handles no signal, and so has no code that returns from a handler. */
static void musl_without_handlers(void **state) {
    (void)state;
    skip_without(PROGRAM("musl_plain"));
    assert_forks(PROGRAM("musl_plain"), no_arguments);
}

/* It can't be copied, and is spooled. */
static void without_code_to_return_through(void **state) {
    procinspect_error error;
    pi_system *system;
    pi_process *process;
    pi_snapshot *snapshot = NULL;
    (void)state;
    skip_unless_children_can_be_traced();
    pid_t pid = target_start(PROGRAM("bare"), no_arguments);
    assert_int_equal(pi_system_open(NULL, &system, NULL), 0);
    assert_int_equal(pi_process_open(system, pid, &process, NULL), 0);
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY;
    request.hold_buffer_bytes = 4096;
    assert_capture_fails(process, &request, PROCINSPECT_ERROR_UNSUPPORTED,
                         "no place from which a thread could call the kernel");
    request.spool_directory = "/tmp";
    if (pi_capture(process, &request, &snapshot, &error) != 0)
        fail_msg("%d: %s", error.code, error.message);
    assert_int_equal(snapshot->report.way, PROCINSPECT_DUMP_WAY_SPOOL);
    assert_non_null(strstr(snapshot->report.way_reason, "no place from which"));
    pi_snapshot_free(snapshot);
    pi_process_close(process);
    pi_system_close(system);
    target_end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linked_in_each_way),
        cmocka_unit_test(musl),
        cmocka_unit_test(musl_without_handlers),
        cmocka_unit_test(without_code_to_return_through),
        cmocka_unit_test(python),
        cmocka_unit_test(node),
        cmocka_unit_test(java),
        cmocka_unit_test(go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
