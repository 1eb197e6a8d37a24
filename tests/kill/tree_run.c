#include "kill/tree_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READY_STEPS = 60000, CLEAR_PASSES = 400, PASSES_TO_NAME_ITSELF = 100 };

static char log_path[] = "/tmp/procinspect-tree-XXXXXX";
static int log_file = -1;

static void sleep_us(long us) {
    nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

int tree_runs(int few, int many) {
    const char *soak = getenv("PROCINSPECT_TEST_SOAK");
    return soak != NULL && soak[0] != '\0' ? many : few;
}

static void remove_log(void) {
    unlink(log_path);
}

/* As init does with what comes to it: their numbers are free at once. */
static const struct sigaction wait_for_none = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};

int tree_run_setup(void **state) {
    (void)state;
    log_file = mkostemp(log_path, O_CLOEXEC);
    return log_file < 0 || fchmod(log_file, 0666) != 0 || atexit(remove_log) != 0 ||
           prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0;
}

int tree_run_setup_waiting_for_none(void **state) {
    return tree_run_setup(state) != 0 || sigaction(SIGCHLD, &wait_for_none, NULL) != 0;
}

void tree_wait_for_end(pid_t child) {
    int pidfd = (int)syscall(SYS_pidfd_open, child, 0);
    if (pidfd >= 0) {
        assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, -1), 1);
        close(pidfd);
    }
}

int tree_shell(const char *command) {
    signal(SIGCHLD, SIG_DFL);
    int status = system(command);
    sigaction(SIGCHLD, &wait_for_none, NULL);
    return status;
}

bool tree_may_be_traced(void) {
    char scope = '0';
    int file = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        assert_int_equal(read(file, &scope, 1), 1);
        close(file);
    }
    return scope == '0' || (scope != '3' && geteuid() == 0);
}

procinspect_context *tree_context(void) {
    procinspect_context_options options;
    procinspect_context *context = NULL;
    procinspect_error error = {0};
    procinspect_context_options_init(&options, sizeof options);
    options.allow = PROCINSPECT_ALLOW_KILL;
    options.user_scope = PROCINSPECT_USER_SCOPE_ALL;
    if (procinspect_context_new(&options, &context, &error) != PROCINSPECT_OK)
        fail_msg("%s", error.message);
    return context;
}

pid_t tree_start_witness(void) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    return pid;
}

void tree_start(tree_run *run, const char *program, const char *kind, int number) {
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    assert_int_equal(ftruncate(log_file, 0), 0);
    assert_int_equal(ftruncate(log_file, sizeof *run->log), 0);
    run->log = mmap(NULL, sizeof *run->log, PROT_READ | PROT_WRITE, MAP_SHARED, log_file, 0);
    assert_ptr_not_equal(run->log, MAP_FAILED);
    run->witnesses[0] = tree_start_witness();
    run->root = fork();
    assert_true(run->root >= 0);
    if (run->root == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        execl(program != NULL ? program : TREE_PROGRAM, "tree", log_path, kind, text, (char *)NULL);
        _exit(127);
    }
    run->witnesses[1] = tree_start_witness();
    for (int i = 0; i < READY_STEPS && !atomic_load(&run->log->ready); i++)
        sleep_us(500);
    assert_int_equal(atomic_load(&run->log->ready), 1);
    sleep_us(rand() % 3000);
}

const procinspect_kill_report *tree_end(const tree_run *run,
                                        const procinspect_kill_options *options) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    procinspect_error error = {0};
    int32_t code = procinspect_process_open(context, run->root, &process, &error);
    atomic_store(&run->log->go, 1);
    if (code == PROCINSPECT_OK)
        code = procinspect_kill_tree(process, options, &report, &error);
    if (code != PROCINSPECT_OK)
        fail_msg("%s: %s", procinspect_error_name(code), error.message);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return report;
}

int32_t tree_try_to_end(pid_t root, const procinspect_kill_options *options,
                        procinspect_error *error) {
    procinspect_context *context = tree_context();
    procinspect_process *process = NULL;
    const procinspect_kill_report *report = NULL;
    int32_t code = procinspect_process_open(context, root, &process, error);
    if (code == PROCINSPECT_OK)
        code = procinspect_kill_tree(process, options, &report, error);
    procinspect_kill_report_free(report);
    procinspect_process_free(process);
    procinspect_context_free(context);
    return code;
}

char tree_state(pid_t pid, pid_t *parent) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return '?';
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    const char *end = strrchr(text, ')');
    if (end == NULL || end[1] != ' ')
        return '?';
    if (parent != NULL)
        *parent = (pid_t)atoi(end + 4);
    return end[2];
}

pid_t tree_child_of(pid_t parent) {
    DIR *directory = opendir("/proc");
    assert_non_null(directory);
    pid_t found = 0, its_parent = 0;
    for (struct dirent *entry; found == 0 && (entry = readdir(directory)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (pid > 1 && tree_state(pid, &its_parent) != '?' && its_parent == parent)
            found = pid;
    }
    closedir(directory);
    return found;
}

bool tree_goes_on(pid_t pid) {
    char state = tree_state(pid, NULL);
    return state == 'S' || state == 'R' || state == 'D';
}

bool tree_is_traced(pid_t pid) {
    char path[64], text[2048];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = '\0';
    return strstr(text, "\nTracerPid:\t0\n") == NULL;
}

bool tree_copy_setuid(const char *to) {
    struct statvfs file_system;
    char command[512];
    snprintf(command, sizeof command, "cp '%s' '%s' && chmod 4755 '%s'", TREE_PROGRAM, to, to);
    return geteuid() == 0 && statvfs("/tmp", &file_system) == 0 &&
           (file_system.f_flag & ST_NOSUID) == 0 && tree_shell(command) == 0;
}

typedef enum membership { MEMBER, GIVEN_TO_INIT, UNKNOWN } membership;

static membership membership_of(const tree_log *log, pid_t pid, uint64_t read_at_ns) {
    int place = atomic_load(&log->count) - 1;
    while (place >= 0 && log->processes[place].pid != pid)
        place--;
    if (place < 0)
        return UNKNOWN;
    while ((place = log->processes[place].parent) >= 0) {
        uint64_t end_ns = log->processes[place].end_ns;
        if (end_ns != 0 && end_ns <= read_at_ns)
            return GIVEN_TO_INIT;
    }
    return MEMBER;
}

static bool is_witness(const tree_run *run, pid_t pid) {
    return pid == run->witnesses[0] || pid == run->witnesses[1];
}

/* Ends what is alive of the tree, which are our children by now; how many there were. */
static int clear_once(const tree_run *run, uint64_t read_at_ns, int pass, int *lost) {
    DIR *directory = opendir("/proc");
    assert_non_null(directory);
    int found = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        pid_t pid = (pid_t)atoi(entry->d_name), parent = 0;
        if (pid <= 1 || is_witness(run, pid))
            continue;
        char state = tree_state(pid, &parent);
        if (state == '?' || parent != getpid())
            continue;
        if (state == 'Z' || state == 'X')
            continue;
        found++;
        membership found_as = membership_of(run->log, pid, read_at_ns);
        if (found_as == UNKNOWN && pass < PASSES_TO_NAME_ITSELF)
            continue;
        if (found_as != GIVEN_TO_INIT) {
            if (read_at_ns != 0)
                print_message("left: %d, state %c\n", (int)pid, state);
            ++*lost;
        }
        kill(pid, SIGKILL);
    }
    closedir(directory);
    return found;
}

bool tree_end_witnesses(const tree_run *run) {
    bool are_well = true;
    for (int i = 0; i < TREE_WITNESSES; i++) {
        if (!tree_goes_on(run->witnesses[i])) {
            print_message("witness %d, state %c\n", (int)run->witnesses[i],
                          tree_state(run->witnesses[i], NULL));
            are_well = false;
        }
        kill(run->witnesses[i], SIGKILL);
    }
    return are_well;
}

int tree_clear(tree_run *run, uint64_t read_at_ns, bool *witnesses_are_well) {
    int lost = 0;
    atomic_store(&run->log->stop, 1);
    for (int pass = 0; pass < CLEAR_PASSES && clear_once(run, read_at_ns, pass, &lost) != 0; pass++)
        sleep_us(200);
    *witnesses_are_well = tree_end_witnesses(run);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    assert_int_equal(atomic_load(&run->log->crashed), 0);
    munmap(run->log, sizeof *run->log);
    return lost;
}

static void check_items(const tree_run *run, const procinspect_kill_report *report) {
    assert_int_equal(report->pid, run->root);
    assert_int_equal(report->items[0]->pid, run->root);
    assert_true(report->read_at_ns != 0 && report->total_ns != 0);
    uint32_t counted[6] = {0};
    for (size_t i = 0; i < report->count; i++) {
        assert_true(report->items[i]->outcome <= PROCINSPECT_KILL_ESCAPED);
        if (report->items[i]->outcome == PROCINSPECT_KILL_SURVIVED ||
            report->items[i]->outcome == PROCINSPECT_KILL_REFUSED)
            print_message("%d: %s\n", (int)report->items[i]->pid, report->items[i]->text);
        assert_false(report->items[i]->pid == run->witnesses[0] ||
                     report->items[i]->pid == run->witnesses[1]);
        counted[report->items[i]->outcome]++;
    }
    assert_int_equal(counted[PROCINSPECT_KILL_NOT_TRIED], 0);
    assert_int_equal(counted[PROCINSPECT_KILL_ENDED], report->ended_count);
    assert_int_equal(counted[PROCINSPECT_KILL_ALREADY_GONE], report->already_gone_count);
    assert_int_equal(counted[PROCINSPECT_KILL_ESCAPED], report->escaped_count);
}

void tree_end_whole(const char *kind, int number, size_t members, uint32_t grace_ms) {
    procinspect_kill_options options;
    procinspect_kill_options_init(&options, sizeof options);
    options.grace_ms = grace_ms;
    options.timeout_ms = 30000; /* other tests may keep the machine busy */
    tree_run run;
    bool witnesses_are_well;
    tree_start(&run, NULL, kind, number);
    const procinspect_kill_report *report = tree_end(&run, &options);
    check_items(&run, report);
    assert_int_equal(report->survived_count + report->refused_count, 0);
    assert_true(report->count >= members);
    int lost = tree_clear(&run, report->read_at_ns, &witnesses_are_well);
    if (lost != 0)
        print_message("is_exact %d\n", (int)report->is_exact);
    assert_int_equal(lost, 0);
    assert_true(witnesses_are_well);
    if (tree_may_be_traced())
        assert_true(report->is_exact);
    procinspect_kill_report_free(report);
}
