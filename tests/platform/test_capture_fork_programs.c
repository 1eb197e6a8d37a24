/* Forks of programs that are linked, or written, in other ways than the tests are. */
#include "platform/capture_child.h"
#include "platform/fork_run.h"
#include "platform/module_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const no_arguments[4];

static void assert_forks(const char *program, const char *const arguments[4]) {
    pid_t pid = target_start(program, arguments);
    for (int i = 0; i < 3; i++) {
        fork_once(pid);
        assert_true(count_children(pid) <= 0);
    }
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
    target_end(pid);
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
    if (access("/usr/bin/python3", X_OK) != 0)
        skip();
    assert_forks("/usr/bin/python3", arguments);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linked_in_each_way),
        cmocka_unit_test(python),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
