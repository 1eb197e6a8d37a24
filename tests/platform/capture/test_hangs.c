/* File systems that don't answer: they hold up neither a capture nor the host. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/fuse_mount.h"

static const char program[] = "#!/bin/true\n";

/* What the children of this file execute. */
static const char *program_path;

static void *execute(void *argument) {
    execl(program_path, "program", NULL);
    return argument;
}

/* Its execve waits for the program's first bytes, and keeps all tracers away meanwhile. */
static void executing_body(child_board *board) {
    pthread_t thread;
    pthread_create(&thread, NULL, beat, board);
    pthread_create(&thread, NULL, execute, NULL);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static test_child start_hanging_execve(fuse_mount *mount) {
    atomic_store(&mount->board->answers_no_read, 1);
    program_path = mount->path;
    test_child child = child_start(executing_body);
    for (int i = 0; i < 20000 && atomic_load(&mount->board->reads_unanswered) == 0; i++)
        sleep_ms(1);
    assert_true(atomic_load(&mount->board->reads_unanswered) > 0);
    return child;
}

static void test_an_execve_that_hangs(void **state) {
    (void)state;
    fuse_mount mount = fuse_start(program, sizeof program - 1);
    test_child child = start_hanging_execve(&mount);
    size_t descriptors = count_descriptors();
    pi_capture_request request = default_request();
    request.max_pause_ms = 200;
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_TIMED_OUT, "execve");
    assert_int_equal(count_descriptors(), descriptors);
    /* Nothing of the capture is left, not even a zombie that only __WALL shows. */
    assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), 0);
    assert_beats(&child);
    fuse_end(&mount);
    child_end(&child);
}

static void *cancel_soon(void *argument) {
    sleep_ms(50);
    procinspect_cancellation_request(argument);
    return NULL;
}

static void test_an_execve_that_hangs_is_cancelled(void **state) {
    pthread_t thread;
    procinspect_cancellation *cancellation;
    (void)state;
    fuse_mount mount = fuse_start(program, sizeof program - 1);
    test_child child = start_hanging_execve(&mount);
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    pi_capture_request request = default_request();
    request.max_pause_ms = 3600 * 1000;
    request.cancellation = cancellation;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, cancellation), 0);
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_CANCELLED, "cancellation");
    pthread_join(thread, NULL);
    procinspect_cancellation_free(cancellation);
    assert_beats(&child);
    fuse_end(&mount);
    child_end(&child);
}

/* To close a descriptor, an inherited one too, is to ask the file's server, which may not answer.
 */
static void test_a_file_of_the_hosts_that_can_t_be_closed(void **state) {
    (void)state;
    fuse_mount mount = fuse_start(program, sizeof program - 1);
    test_child child = child_start(beating_body);
    int file = open(mount.path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    int copy = fcntl(file, F_DUPFD_CLOEXEC, 900); /* behind the first that a table has room for */
    assert_true(copy >= 900);
    for (int i = 0; i < 5; i++)
        pi_snapshot_free(capture_child(&child));
    assert_int_equal(atomic_load(&mount.board->flushes), 0);
    assert_beats(&child);
    fuse_end(&mount); /* what hangs is answered with ENOTCONN */
    child_end(&child);
    close(copy);
    close(file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_execve_that_hangs),
        cmocka_unit_test(test_an_execve_that_hangs_is_cancelled),
        cmocka_unit_test(test_a_file_of_the_hosts_that_can_t_be_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
