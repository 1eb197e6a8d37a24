/* What a process has open, in captures: against what the process itself knows of it. */
#include "platform/capture/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FIRST = 100, /* the descriptors that the tests know begin here */
    MOST_HANDLES = 65536,
    DEEP_DIRECTORIES = 15,
    DEEP_NAME_BYTES = 255
};

static char folder[] = "/tmp/procinspect-handles-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) == NULL || chmod(folder, 0777) != 0 ? -1 : 0;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

/* Gives it a number that is known, whatever the test runs under has open. */
static void place(int number, int descriptor, int flags) {
    if (descriptor < 0 || dup3(descriptor, number, flags) != number)
        _exit(97);
    close(descriptor);
}

static void open_at(int number, const char *path, int flags) {
    place(number, open(path, flags & ~O_CLOEXEC, 0600), flags & O_CLOEXEC);
}

static uint64_t inode_of(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        _exit(96);
    return status.st_ino;
}

/* Relative names in the folder, removed again by the one who made them. */
static const char odd_name[] = "two\nlines \xff (deleted)";

static void opener_body(child_board *board) {
    int pair[2], sockets[2];
    if (chdir(folder) != 0 || pipe(pair) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        _exit(95);
    open_at(FIRST, "/dev/null", O_RDONLY);
    open_at(FIRST + 1, "log", O_WRONLY | O_CREAT | O_APPEND);
    open_at(FIRST + 2, "log", O_RDWR | O_APPEND | O_CLOEXEC);
    open_at(FIRST + 3, "gone", O_RDWR | O_CREAT | O_CLOEXEC);
    open_at(FIRST + 4, odd_name, O_WRONLY | O_CREAT);
    place(FIRST + 5, pair[0], 0);
    place(FIRST + 6, pair[1], O_CLOEXEC);
    place(FIRST + 7, sockets[0], 0);
    place(FIRST + 8, sockets[1], O_CLOEXEC);
    place(FIRST + 9, eventfd(0, 0), 0);
    place(FIRST + 10, epoll_create1(0), O_CLOEXEC);
    place(FIRST + 11, memfd_create("shared memory", 0), 0);
    open_at(FIRST + 12, ".", O_RDONLY | O_DIRECTORY);
    open_at(FIRST + 13, "log", O_PATH);
    open_at(FIRST + 14, "/proc/self/ns/net", O_RDONLY);
    open_at(FIRST + 15, "log", O_ACCMODE); /* for ioctl only */
    for (int i = 0; i < 4; i++)
        atomic_store(&board->words[i], inode_of(FIRST + 5 + i));
    atomic_store(&board->words[4], inode_of(FIRST + 14));
    unlink("gone");
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static const pi_handle_snapshot *find_handle(const pi_snapshot *snapshot, uint64_t number) {
    for (size_t i = 0; i < snapshot->handle_count; i++)
        if (snapshot->handles[i].number == number)
            return &snapshot->handles[i];
    fail_msg("descriptor %d is missing", (int)number);
    return NULL;
}

static void assert_text(pi_bytes text, const char *expected) {
    if (text.length != strlen(expected) || memcmp(text.data, expected, text.length) != 0)
        fail_msg("\"%.*s\" instead of \"%s\"", (int)text.length, (const char *)text.data, expected);
}

/* All of them, by ascending number: as many as the process's directory has. */
static void assert_whole(const pi_snapshot *snapshot) {
    char path[64];
    struct stat status;
    for (size_t i = 0; i < snapshot->handle_count; i++) {
        assert_true(i == 0 || snapshot->handles[i].number > snapshot->handles[i - 1].number);
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)snapshot->pid,
                 (int)snapshot->handles[i].number);
        assert_int_equal(lstat(path, &status), 0);
    }
    size_t count = 0;
    for (int i = 0; i < FIRST + 1000; i++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)snapshot->pid, i);
        count += lstat(path, &status) == 0;
    }
    assert_int_equal(snapshot->handle_count, count);
}

static void what_a_process_has_open(void **state) {
    (void)state;
    enum { R = PI_ACCESS_READ, W = PI_ACCESS_WRITE, A = PI_ACCESS_APPEND, INODE = 1 };
    static const struct {
        const char *type;
        const char *name; /* "…[%" takes an inode of the board; without a slash before it a file of
                             the folder */
        int word;
        uint32_t access;
        bool is_inherited;
    } expected[] = {
        {"file", "/dev/null", -1, R, true},
        {"file", "log", -1, A, true},
        {"file", "log", -1, R | A, false},
        {"file", "gone (deleted)", -1, R | W, false},
        {"file", odd_name, -1, W, true},
        {"pipe", NULL, 0, R, true},
        {"pipe", NULL, 1, W, false},
        {"socket", NULL, 2, R | W, true},
        {"socket", NULL, 3, R | W, false},
        {"anon_inode", "anon_inode:[eventfd]", -1, R | W, true},
        {"anon_inode", "anon_inode:[eventpoll]", -1, R | W, false},
        {"file", "/memfd:shared memory (deleted)", -1, R | W, true},
        {"file", "", -1, R, true},
        {"file", "log", -1, 0, true},
        {"net", NULL, 4, R, true},
        {"file", "log", -1, 0, true},
    };
    test_child child = child_start(opener_body);
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA);
    assert_int_equal(snapshot->report.requested_type, 0x4);
    assert_int_equal(snapshot->report.effective_type, 0x20004);
    assert_int_equal(snapshot->report.note_count, 0);
    assert_whole(snapshot);
    for (unsigned i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const pi_handle_snapshot *handle = find_handle(snapshot, FIRST + i);
        char name[256];
        if (expected[i].name == NULL)
            snprintf(name, sizeof name, "%s:[%llu]", expected[i].type,
                     (unsigned long long)atomic_load(&child.board->words[expected[i].word]));
        else if (i == 0 || (i >= 9 && i <= 11))
            snprintf(name, sizeof name, "%s", expected[i].name);
        else
            snprintf(name, sizeof name, "%s%s%s", folder, expected[i].name[0] == '\0' ? "" : "/",
                     expected[i].name);
        assert_text(handle->name, name);
        assert_text(handle->type, expected[i].type);
        assert_int_equal(handle->access, expected[i].access);
        assert_int_equal(handle->is_inherited, expected[i].is_inherited);
    }
    pi_snapshot_free(snapshot);
    child_end(&child);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(unlink("log"), 0);
    assert_int_equal(unlink(odd_name), 0);
    assert_int_equal(chdir("/"), 0);
}

static void without_the_flag_nothing_is_read(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    static const uint32_t types[] = {0, PROCINSPECT_DUMP_TYPE_WITH_FULL_MEMORY_INFO,
                                     PROCINSPECT_DUMP_TYPE_WITH_THREAD_INFO,
                                     PROCINSPECT_DUMP_TYPE_IGNORE_INACCESSIBLE_MEMORY};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pi_snapshot *snapshot = capture_child_as(&child, types[i]);
        assert_int_equal(snapshot->report.requested_type, types[i]);
        assert_int_equal(snapshot->report.effective_type, types[i] | 0x20000);
        assert_null(snapshot->handles);
        assert_int_equal(snapshot->handle_count, 0);
        pi_snapshot_free(snapshot);
    }
    assert_beats(&child);
    child_end(&child);
}

static void closed_body(child_board *board) {
    close_range(0, ~0u, 0);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void a_process_that_has_nothing_open(void **state) {
    (void)state;
    test_child child = child_start(closed_body);
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA);
    assert_int_equal(snapshot->handle_count, 0);
    assert_int_equal(snapshot->report.effective_type, 0x20004);
    assert_int_equal(snapshot->report.note_count, 0);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Whose main thread has ended: its own directory shows none. */
static void leaderless_body(child_board *board) {
    pthread_t thread;
    open_at(FIRST, "/dev/null", O_WRONLY);
    pthread_create(&thread, NULL, beat, board);
    atomic_store(&board->ready, 1);
    pthread_exit(NULL);
}

static void one_whose_main_thread_has_ended(void **state) {
    (void)state;
    test_child child = child_start(leaderless_body);
    assert_true(wait_for_thread_state(child.pid, child.pid, 'Z'));
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA;
    pi_snapshot *snapshot;
    skip_unless_children_can_be_traced();
    assert_int_equal(pi_capture(child.process, &request, &snapshot, NULL), 0);
    assert_text(find_handle(snapshot, FIRST)->name, "/dev/null");
    pi_snapshot_free(snapshot);
    assert_beats(&child);
    child_end(&child);
}

/* --- As many as a target likes --- */

static bool may_open(rlim_t count) {
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
           ((limit.rlim_max >= count &&
             setrlimit(RLIMIT_NOFILE, &(struct rlimit){count, limit.rlim_max}) == 0) ||
            setrlimit(RLIMIT_NOFILE, &(struct rlimit){count, count}) == 0);
}

enum { TOO_MANY = MOST_HANDLES + 5000 };

static void many_body(child_board *board) {
    if (may_open(TOO_MANY))
        for (int i = 3; i < TOO_MANY; i++)
            if (dup2(0, i) != i)
                _exit(94);
    atomic_store(&board->words[0], may_open(TOO_MANY));
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static const procinspect_dump_note *only_note(const pi_snapshot *snapshot, uint32_t kind) {
    assert_int_equal(snapshot->report.note_count, 1);
    assert_int_equal(snapshot->report.notes[0]->kind, kind);
    return snapshot->report.notes[0];
}

static void more_than_a_dump_takes(void **state) {
    (void)state;
    test_child child = child_start(many_body);
    if (atomic_load(&child.board->words[0]) == 0) {
        child_end(&child);
        skip(); /* an ordinary user's limit */
    }
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA);
    assert_int_equal(snapshot->handle_count, MOST_HANDLES);
    for (size_t i = 1; i < MOST_HANDLES; i++)
        assert_true(snapshot->handles[i].number == snapshot->handles[i - 1].number + 1);
    const procinspect_dump_note *note = only_note(snapshot, PROCINSPECT_DUMP_NOTE_SHORTENED);
    assert_non_null(strstr(note->text, "first 65536,"));
    assert_int_equal(snapshot->report.effective_type, 0x20004);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* A path as long as the kernel tells, and one that is longer, each often. */
static void deep_body(child_board *board) {
    char name[DEEP_NAME_BYTES + 1];
    memset(name, 'n', DEEP_NAME_BYTES);
    name[DEEP_NAME_BYTES] = '\0';
    if (chdir(folder) != 0 || !may_open(10000))
        _exit(93);
    for (int i = 0; i < DEEP_DIRECTORIES; i++)
        if (mkdir(name, 0700) != 0 || chdir(name) != 0)
            _exit(92);
    open_at(FIRST + 1, name + 100, O_RDWR | O_CREAT);
    open_at(FIRST, name, O_RDWR | O_CREAT);
    for (int i = 1; i < 5000; i++)
        if (dup2(FIRST + 1, FIRST + 1 + i) < 0)
            _exit(91);
    unlink(name + 100);
    unlink(name);
    for (int i = 0; i < DEEP_DIRECTORIES; i++)
        if (chdir("..") != 0 || rmdir(name) != 0)
            _exit(90);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void more_names_than_a_dump_takes(void **state) {
    (void)state;
    test_child child = child_start(deep_body);
    pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA);
    /* Longer than a page with " (deleted)": there, and nameless. */
    assert_int_equal(find_handle(snapshot, FIRST)->name.length, 0);
    assert_text(find_handle(snapshot, FIRST)->type, "file");
    const pi_handle_snapshot *last = &snapshot->handles[snapshot->handle_count - 1];
    assert_true(last->name.length > 3900);
    size_t bytes = 0;
    for (size_t i = 0; i < snapshot->handle_count; i++)
        bytes += snapshot->handles[i].name.length;
    assert_true(bytes <= 16u << 20 && bytes > (16u << 20) - 2 * 4096);
    only_note(snapshot, PROCINSPECT_DUMP_NOTE_SHORTENED);
    pi_snapshot_free(snapshot);
    child_end(&child);
}

/* Descriptors that come and go meanwhile. */
static void *open_and_close(void *argument) {
    child_board *board = argument;
    for (;;) {
        int descriptors[50];
        for (int i = 0; i < 50; i++)
            descriptors[i] = dup(FIRST);
        for (int i = 0; i < 50; i++)
            close(descriptors[i]);
        atomic_fetch_add(&board->beats, 1);
    }
    return NULL;
}

static void busy_body(child_board *board) {
    pthread_t thread;
    open_at(FIRST, "/dev/null", O_WRONLY);
    pthread_create(&thread, NULL, open_and_close, board);
    atomic_store(&board->ready, 1);
    for (;;)
        pause();
}

static void descriptors_that_come_and_go(void **state) {
    (void)state;
    test_child child = child_start(busy_body);
    for (int i = 0; i < 50; i++) {
        pi_snapshot *snapshot = capture_child_as(&child, PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA);
        assert_int_equal(snapshot->report.effective_type, 0x20004);
        assert_text(find_handle(snapshot, FIRST)->name, "/dev/null");
        assert_int_equal(find_handle(snapshot, FIRST)->access, PI_ACCESS_WRITE);
        pi_snapshot_free(snapshot);
    }
    assert_beats(&child);
    child_end(&child);
}

static void a_cancelled_capture_reads_none(void **state) {
    (void)state;
    test_child child = child_start(beating_body);
    procinspect_cancellation *cancellation;
    assert_int_equal(procinspect_cancellation_new(&cancellation, NULL), 0);
    procinspect_cancellation_request(cancellation);
    pi_capture_request request = default_request();
    request.type = PROCINSPECT_DUMP_TYPE_WITH_HANDLE_DATA;
    request.cancellation = cancellation;
    size_t before = count_descriptors();
    skip_unless_children_can_be_traced();
    assert_capture_fails(child.process, &request, PROCINSPECT_ERROR_CANCELLED, "");
    assert_int_equal(count_descriptors(), before);
    procinspect_cancellation_free(cancellation);
    child_end(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_process_has_open),
        cmocka_unit_test(without_the_flag_nothing_is_read),
        cmocka_unit_test(a_process_that_has_nothing_open),
        cmocka_unit_test(one_whose_main_thread_has_ended),
        cmocka_unit_test(more_than_a_dump_takes),
        cmocka_unit_test(more_names_than_a_dump_takes),
        cmocka_unit_test(descriptors_that_come_and_go),
        cmocka_unit_test(a_cancelled_capture_reads_none),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
