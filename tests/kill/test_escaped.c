/* Orphans that share session or cgroup with a tree are told of, with the reason, and run on. Others
 * are not told of.
 *
 * Below the test stands a process that gets orphans, as a service manager does; below that, or one
 * further down, the root of the tree, which has left an orphan behind.
 */
#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LONGEST_LIFE_S = 120, READY_STEPS = 20000, TICKS_APART_US = 50000, MOUNTS = 32 };

/* How things stand: where the processes of a case are. */
typedef struct arrangement {
    const char *cgroup; /* which the root and its orphan join; NULL: stay where they are */
    bool manager_joins; /* the parent of the root, too */
    bool orphan_leaves_session;
    bool root_stays_in_session; /* of its ancestors */
    bool manager_is_parent;     /* of the root; else its grandparent */
    bool test_gets_orphans;     /* in the manager's place, as a host that is init does */
    bool root_has_ended;        /* and nobody has waited for it */
    bool orphan_is_older;       /* than the root, in whose session and cgroup it is */
} arrangement;

typedef struct cast {
    atomic_int ready;
    pid_t manager, parent, root, orphan;
} cast;

static cast *pids;

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static _Noreturn void stay(void) {
    alarm(LONGEST_LIFE_S); /* should the test be killed */
    for (;;)
        pause();
}

static bool write_number(const char *folder, const char *name, int number) {
    char path[256 + 16], text[16];
    int length = snprintf(text, sizeof text, "%d", number);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    bool is_written = file >= 0 && write(file, text, (size_t)length) == length;
    if (file >= 0)
        close(file);
    return is_written;
}

static void join(const arrangement *how) {
    if (how->cgroup != NULL && !write_number(how->cgroup, "cgroup.procs", (int)getpid()))
        _exit(7);
}

static pid_t fork_surely(void) {
    pid_t pid = fork();
    if (pid < 0)
        _exit(8);
    return pid;
}

static void stand(pid_t *role) {
    *role = getpid();
    atomic_fetch_add(&pids->ready, 1);
}

/* In a process of the session that the orphan is to have. */
static void leave_orphan(const arrangement *how) {
    pid_t between = fork_surely();
    if (between == 0) {
        if (fork_surely() != 0)
            _exit(0);
        if (how->orphan_leaves_session)
            setsid();
        stand(&pids->orphan);
        stay();
    }
    waitpid(between, NULL, 0);
}

static _Noreturn void be_root(const arrangement *how) {
    if (!how->orphan_is_older) {
        if (!how->root_stays_in_session)
            setsid();
        join(how);
        leave_orphan(how);
    }
    stand(&pids->root);
    if (how->root_has_ended)
        _exit(0);
    stay();
}

static _Noreturn void be_parent(const arrangement *how) {
    if (how->orphan_is_older) {
        setsid();
        leave_orphan(how);
        sleep_us(TICKS_APART_US); /* starts are told to a hundredth of a second */
    }
    if (fork_surely() == 0)
        be_root(how);
    stand(&pids->parent);
    stay();
}

static _Noreturn void be_manager(const arrangement *how) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (!how->test_gets_orphans)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    setsid(); /* in the test's there may be other orphans */
    if (how->manager_joins)
        join(how);
    if (how->manager_is_parent || fork_surely() == 0)
        be_parent(how);
    stay();
}

static void start(const arrangement *how) {
    memset(pids, 0, sizeof *pids);
    pid_t manager = fork();
    if (manager == 0)
        be_manager(how);
    assert_true(manager > 0);
    pids->manager = manager;
    for (int i = 0; i < READY_STEPS && atomic_load(&pids->ready) < 3; i++)
        sleep_us(500);
    assert_int_equal(atomic_load(&pids->ready), 3);
    while (how->root_has_ended && tree_state(pids->root, NULL) != 'Z')
        sleep_us(500);
}

/* The orphan's item; NULL where the report has none. */
static const procinspect_kill_item *find_orphan(const procinspect_kill_report *report) {
    const procinspect_kill_item *found = NULL;
    for (size_t i = 0; i < report->count; i++) {
        const procinspect_kill_item *each = report->items[i];
        assert_int_equal(each->outcome == PROCINSPECT_KILL_ESCAPED, i >= 1);
        assert_false(each->pid == pids->manager || each->pid == pids->parent);
        if (each->pid == pids->orphan)
            found = each;
    }
    return found;
}

/* Nobody has been waited for, so the numbers are still theirs. */
static void clear(void) {
    const pid_t left[] = {pids->orphan, pids->parent, pids->manager};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        assert_true(left[i] > 1);
        kill(left[i], SIGKILL);
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

/* Ends the root's tree. The text of the orphan's item has `says` in it, and not `says_not`; says
 * NULL: there is no such item. */
static void check(const arrangement *how, const char *says, const char *says_not) {
    start(how);
    tree_run run = {.root = pids->root};
    static tree_log log;
    run.log = &log;
    const procinspect_kill_report *report = tree_end(&run, NULL);
    assert_int_equal(report->items[0]->pid, pids->root);
    assert_int_equal(report->items[0]->outcome,
                     how->root_has_ended ? PROCINSPECT_KILL_ALREADY_GONE : PROCINSPECT_KILL_ENDED);
    const procinspect_kill_item *orphan = find_orphan(report);
    assert_true(tree_goes_on(pids->orphan));
    assert_int_equal(report->escaped_count, orphan != NULL);
    if (says == NULL && orphan != NULL)
        fail_msg("told of: %s", orphan->text);
    if (says != NULL) {
        assert_non_null(orphan);
        assert_int_equal(orphan->parent_pid, how->test_gets_orphans ? getpid() : pids->manager);
        char id[64];
        snprintf(id, sizeof id, "its own id, %d,", (int)pids->orphan);
        assert_non_null(strstr(orphan->text, id));
        assert_non_null(strstr(orphan->text, says));
        assert_true(says_not == NULL || strstr(orphan->text, says_not) == NULL);
    }
    procinspect_kill_report_free(report);
    clear();
}

static void orphans_of_the_session(void **state) {
    (void)state;
    check(&(arrangement){0}, "shares the session ", "cgroup");
}

static void orphans_that_came_to_the_host(void **state) {
    (void)state;
    check(&(arrangement){.test_gets_orphans = true}, "shares the session ", "cgroup");
    check(&(arrangement){.test_gets_orphans = true, .manager_is_parent = true},
          "shares the session ", "cgroup");
}

static void orphans_of_a_zombie(void **state) {
    (void)state;
    check(&(arrangement){.root_has_ended = true}, "shares the session ", "cgroup");
}

static void an_orphan_older_than_the_root(void **state) {
    (void)state;
    check(&(arrangement){.orphan_is_older = true}, NULL, NULL);
}

static void an_orphan_that_shares_nothing(void **state) {
    (void)state;
    check(&(arrangement){.orphan_leaves_session = true}, NULL, NULL);
}

static void orphans_that_came_to_the_parent(void **state) {
    (void)state;
    check(&(arrangement){.manager_is_parent = true}, "shares the session ", "cgroup");
}

/* As a shell's other commands are. */
static void children_of_an_ancestor_in_its_session(void **state) {
    (void)state;
    check(&(arrangement){.root_stays_in_session = true}, NULL, NULL);
    check(&(arrangement){.root_stays_in_session = true, .manager_is_parent = true}, NULL, NULL);
}

/* A cgroup of our own, below where this hierarchy is mounted; false where that can't be. */
static bool make_cgroup(const char *mount, char folder[256]) {
    pid_t probe;
    int status = 0;
    snprintf(folder, 256, "%.199s/procinspect-test-%d", mount, (int)getpid());
    if (mkdir(folder, 0755) != 0)
        return false;
    probe = fork();
    if (probe == 0)
        _exit(write_number(folder, "cgroup.procs", (int)getpid()) ? 0 : 1);
    assert_int_equal(waitpid(probe, &status, 0), probe);
    if (status == 0)
        return true;
    rmdir(folder); /* cpuset takes settings first */
    return false;
}

static void check_cgroup(const char *folder) {
    char says[64], both[96];
    snprintf(says, sizeof says, "shares the cgroup /procinspect-test-%d with", (int)getpid());
    snprintf(both, sizeof both, " and the cgroup /procinspect-test-%d with", (int)getpid());
    check(&(arrangement){.cgroup = folder, .orphan_leaves_session = true}, says, "session");
    check(&(arrangement){.cgroup = folder}, both, NULL);
    /* A service manager's children in a cgroup that isn't its own. */
    check(
        &(arrangement){.cgroup = folder, .orphan_leaves_session = true, .manager_is_parent = true},
        says, "session");
    /* A login's or a container's cgroup, which is the manager's, too. */
    check(&(arrangement){.cgroup = folder, .orphan_leaves_session = true, .manager_joins = true},
          NULL, NULL);
}

/* Where hierarchies are mounted of which "/proc/self/mountinfo" says that: at most MOUNTS. */
static size_t find_mounts(const char *says, char found[MOUNTS][200]) {
    char line[2048];
    size_t count = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    assert_non_null(file);
    while (count < MOUNTS && fgets(line, sizeof line, file) != NULL)
        if (strstr(line, says) != NULL && sscanf(line, "%*s %*s %*s / %199s", found[count]) == 1)
            count++;
    fclose(file);
    return count;
}

static void check_hierarchies(const char *says) {
    char mounts[MOUNTS][200], folder[256];
    size_t count = find_mounts(says, mounts);
    bool was_made = false;
    for (size_t i = 0; i < count && !was_made; i++) {
        was_made = make_cgroup(mounts[i], folder);
        if (!was_made)
            continue;
        check_cgroup(folder);
        assert_int_equal(rmdir(folder), 0);
    }
    if (!was_made) {
        print_message("no hierarchy with '%s' in which this user may make a cgroup\n", says);
        skip();
    }
}

static void orphans_of_the_cgroup(void **state) {
    (void)state;
    check_hierarchies(" - cgroup2 ");
}

static void orphans_of_the_cgroup_in_version_1(void **state) {
    (void)state;
    char text[8192];
    int file = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof text - 1) : -1;
    close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, "0::/");
    if (line != NULL && line[4] != '\n') {
        print_message("version 2 is in use here, which tells more\n");
        skip();
    }
    check_hierarchies(",name=");
}

static int share_pids(void **state) {
    pids = mmap(NULL, sizeof *pids, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return pids == MAP_FAILED ? -1 : tree_run_setup(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orphans_of_the_session),
        cmocka_unit_test(orphans_that_came_to_the_host),
        cmocka_unit_test(orphans_of_a_zombie),
        cmocka_unit_test(an_orphan_older_than_the_root),
        cmocka_unit_test(an_orphan_that_shares_nothing),
        cmocka_unit_test(orphans_that_came_to_the_parent),
        cmocka_unit_test(children_of_an_ancestor_in_its_session),
        cmocka_unit_test(orphans_of_the_cgroup),
        cmocka_unit_test(orphans_of_the_cgroup_in_version_1),
    };
    return cmocka_run_group_tests(tests, share_pids, NULL);
}
