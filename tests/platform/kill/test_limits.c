/* SPDX-License-Identifier: MIT */
/*
 * How large a tree may be. So many processes can't be started here, so the tree is a directory that
 * reads as /proc does: its processes are hard links to one symbolic link, which cost next to
 * nothing in a tmpfs. Their numbers are larger than the kernel ever gives: whatever the code under
 * test did with them, it could hit nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "platform/linux/kill/tree.h"
#include "platform/platform.h"

/* The kernel's largest number of a process is 2^22. */
enum { ROOT = 5000000, FIRST_STRANGER = 6000000, ARENA_BYTES = 1 << 28 };

static char folder[] = "/dev/shm/procinspect-proc-XXXXXX";
static int proc = -1;
static int members = 1, strangers = 0;

static bool write_text(const char *path, const char *text) {
    size_t length = strlen(text);
    int file = openat(proc, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool is_written = file >= 0 && write(file, text, length) == (ssize_t)length;
    if (file >= 0)
        close(file);
    return is_written;
}

/* The directory of one process, or of all that are linked to it. */
static bool make_process(const char *name, int parent) {
    char path[64], text[256];
    snprintf(path, sizeof path, "%s/stat", name);
    snprintf(
        text, sizeof text,
        "%d (%s) S %d 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 "
        "0 0 0 0 0 0 0 0 0 0 0\n",
        ROOT, name, parent);
    return mkdirat(proc, name, 0755) == 0 && write_text(path, text);
}

/* Without a tmpfs there is no such tree: others limit the links of a file, or take long. */
static int make_tree(void **state) {
    (void)state;
    struct statfs file_system;
    char root[16];
    if (statfs("/dev/shm", &file_system) != 0 || file_system.f_type != TMPFS_MAGIC ||
        mkdtemp(folder) == NULL)
        return 0;
    proc = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(root, sizeof root, "%d", ROOT);
    return proc < 0 || !write_text("stat", "btime 1700000000\n") || !make_process(root, 1) ||
           !make_process("member", ROOT) || !make_process("stranger", 1) ||
           symlinkat("member", proc, "a member") != 0 ||
           symlinkat("stranger", proc, "a stranger") != 0;
}

static void remove_all(const char *path) {
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0)
            unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
    if (directory != NULL)
        closedir(directory);
}

static int remove_tree(void **state) {
    (void)state;
    char path[sizeof folder + 16];
    if (proc < 0)
        return 0;
    const char *const names[] = {"member", "stranger", "5000000"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove_all(path);
    }
    remove_all(folder);
    close(proc);
    return rmdir(folder);
}

static void grow_to(const char *kind, int first, int *count, int wanted) {
    char name[16];
    for (; *count < wanted; ++*count) {
        snprintf(name, sizeof name, "%d", first + *count);
        if (linkat(proc, kind, proc, name, 0) != 0)
            fail_msg("%s: %s", name, strerror(errno));
    }
}

static int32_t kill_tree(bool only_check, size_t *count, uint32_t *gone, procinspect_error *error) {
    pi_system *system = NULL;
    pi_process *process = NULL;
    const pi_kill_request request = {
        .user_id = PI_ANY_USER, .timeout_ms = 5000, .only_check = only_check};
    pi_arena *arena = pi_arena_new(sizeof(procinspect_kill_report), ARENA_BYTES);
    assert_non_null(arena);
    procinspect_kill_report *report = pi_arena_root(arena);
    int32_t code = pi_system_open(folder, &system, error);
    if (code == PROCINSPECT_OK)
        code = pi_process_open(system, ROOT, &process, error);
    if (code == PROCINSPECT_OK)
        code = pi_process_kill_tree(process, &request, arena, report, error);
    if (code == PROCINSPECT_OK) {
        *count = report->count;
        *gone = report->already_gone_count;
    }
    pi_process_close(process);
    pi_system_close(system);
    pi_arena_free_root(report);
    return code;
}

static void check_accepted(void) {
    procinspect_error error = {0};
    size_t count = 0;
    uint32_t gone = 0;
    if (kill_tree(true, &count, &gone, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    assert_int_equal(count, PI_KILL_MAX_MEMBERS);
    assert_int_equal(gone, PI_KILL_MAX_MEMBERS); /* nobody has these numbers */
}

static void check_too_large(void) {
    procinspect_error error = {0};
    size_t count = 0;
    uint32_t gone = 0;
    for (int only_check = 0; only_check < 2; only_check++) {
        assert_int_equal(kill_tree(only_check, &count, &gone, &error), PROCINSPECT_ERROR_TOO_LARGE);
        assert_non_null(strstr(error.message, "tree of 5000000"));
        assert_non_null(strstr(error.message, "131072 members"));
        assert_non_null(strstr(error.message, "262144 processes"));
    }
}

static void a_tree_of_the_largest_size_and_one_more(void **state) {
    (void)state;
    if (proc < 0)
        skip();
    grow_to("a member", ROOT, &members, PI_KILL_MAX_MEMBERS);
    check_accepted();
    grow_to("a member", ROOT, &members, PI_KILL_MAX_MEMBERS + 1);
    check_too_large();
    char last[16];
    snprintf(last, sizeof last, "%d", ROOT + --members);
    assert_int_equal(unlinkat(proc, last, 0), 0);
}

/* On the system, whosever they are. */
static void the_most_processes_and_one_more(void **state) {
    (void)state;
    if (proc < 0)
        skip();
    grow_to("a member", ROOT, &members, PI_KILL_MAX_MEMBERS);
    grow_to("a stranger", FIRST_STRANGER, &strangers, PI_KILL_MAX_PROCESSES - members);
    check_accepted();
    grow_to("a stranger", FIRST_STRANGER, &strangers, PI_KILL_MAX_PROCESSES - members + 1);
    check_too_large();
}

/* Without a place for a member the report isn't exact, and no reaper changes that any more. */
static void a_tree_that_outgrows_its_place(void **state) {
    (void)state;
    static pi_kill_tree tree;
    enum { START = 100 };
    tree.is_exact = true;
    tree.events = tree.epoll = -1;
    tree.member_count = tree.live_count = 1; /* the root, in place 0 */
    tree.members[0] = (pi_kill_member){.pid = ROOT, .pidfd = -1, .start_ticks = START};
    pi_kill_index_set(&tree.members_by_pid, ROOT, 0);
    for (int i = 1; i <= PI_KILL_MAX_MEMBERS; i++) {
        assert_true(tree.is_exact && !tree.is_full);
        const pi_kill_process child = {
            .pid = ROOT + i, .parent_pid = ROOT, .start_ticks = START, .state = 'S'};
        pi_kill_note_process(&tree, &child);
    }
    assert_int_equal(tree.member_count, PI_KILL_MAX_MEMBERS);
    assert_true(tree.is_full && !tree.is_exact);
    pi_kill_gain_reaper(&tree);
    assert_false(tree.is_exact);
    pi_kill_lose_events(&tree);
    assert_false(tree.is_exact);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_of_the_largest_size_and_one_more),
        cmocka_unit_test(the_most_processes_and_one_more),
        cmocka_unit_test(a_tree_that_outgrows_its_place),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
