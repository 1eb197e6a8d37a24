/* SPDX-License-Identifier: MIT */
#include "platform/linux/capture/by_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "platform/linux/capture/copy.h"
#include "platform/linux/trace/helper_system_call.h"

enum {
    STEP_NS = 100000000,        /* between two looks at age and life */
    LEAST_GROWTH_INTERVAL = 20, /* times what a look at the growth took */
    ROLLUP_CAPACITY = 2048,
    STATM_CAPACITY = 128,
    CODE_CAPACITY = 64 * 1024
};

static const uint64_t growth_interval_ns = UINT64_C(1000000000);
static const uint64_t settle_limit_ns = UINT64_C(20000000000);
static const uint64_t end_limit_ns = UINT64_C(45000000000);

/* A descriptor, or -1: copy.failed_errno. */
static int open_of_copy(pi_hold *hold, const char *name) {
    char path[PI_COPY_PATH_BYTES];
    pi_copy_path(path, hold->copy->pid, name);
    long file = pi_helper_open(hold->stop.helper, hold->proc, path, O_RDONLY);
    if (file >= 0)
        return (int)file;
    hold->copy->failed_errno = (int32_t)-file;
    return -1;
}

static pi_hold_result open_files(pi_hold *hold) {
    pi_copy *copy = hold->copy;
    copy->memory_file = open_of_copy(hold, "/mem");
    if (copy->memory_file >= 0)
        copy->pagemap_file = open_of_copy(hold, "/pagemap");
    if (copy->pagemap_file >= 0)
        copy->growth_file = open_of_copy(hold, "/smaps_rollup");
    if (copy->growth_file >= 0)
        return PI_HOLD_DONE;
    copy->failed = PI_FORK_REFUSED;
    return PI_HOLD_NOT_COPIED;
}

/* The copy of the host: it has the helper's code and stack, and waits here for its end. Its group,
 * too, which the host isn't in, and its mask, which leaves the watchdog's alarm open. */
static void wait_for_end_of(int32_t helper) {
    pi_helper_block_signals();
    raw_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    while (raw_call(SYS_getppid, 0, 0, 0, 0) == helper)
        raw_call(SYS_pause, 0, 0, 0, 0);
    for (;;)
        raw_call(SYS_exit_group, 0, 0, 0, 0);
}

/* Shares the host's table of descriptors: what the host closes is closed. */
static long fork_host(void) {
    int32_t helper = (int32_t)raw_call(SYS_getpid, 0, 0, 0, 0);
    long pid = raw_call6(SYS_clone, CLONE_FILES, 0, 0, 0, 0, 0);
    if (pid == 0)
        wait_for_end_of(helper);
    return pid;
}

static pi_fork_result make_copy_of_host(pi_hold *hold) {
    pi_copy *copy = hold->copy;
    uint64_t begin_ns = raw_now_ns();
    long pid = fork_host();
    copy->fork_ns = raw_now_ns() - begin_ns;
    copy->pid = pid < 0 ? 0 : (int32_t)pid;
    copy->failed_errno = pid < 0 ? (int32_t)-pid : 0;
    if (pid > 0)
        pi_copy_mark_for_oom(hold->stop.helper, hold->proc, copy->pid);
    return pid < 0 ? PI_FORK_REFUSED : PI_FORK_DONE;
}

static void plan_meanwhile(void *argument) {
    pi_hold *hold = argument;
    hold->copy->planned = pi_hold_plan(hold);
}

static pi_fork_result make_copy_of_target(pi_hold *hold) {
    pi_copy *copy = hold->copy;
    pi_fork *fork = &copy->fork;
    fork->meanwhile = pi_hold_is_planned_meanwhile(hold) ? plan_meanwhile : NULL;
    fork->argument = hold;
    fork->maps_length = hold->maps_length;
    fork->deadline_ns = pi_hold_deadline_ns(hold);
    pi_fork_result result = pi_fork_target(fork);
    copy->pid = fork->copy_pid;
    copy->fork_ns = fork->fork_ns;
    copy->failed_errno = fork->failed_errno;
    /* Before the process runs: in a cgroup that has no room for both it might be the one to go. */
    if (copy->pid != 0)
        fork->has_oom_mark = pi_copy_mark_for_oom(hold->stop.helper, hold->proc, copy->pid);
    return result;
}

static pi_hold_result make_copy(pi_hold *hold) {
    pi_copy *copy = hold->copy;
    copy->planned = PI_HOLD_DONE;
    copy->failed = copy->is_of_host ? make_copy_of_host(hold) : make_copy_of_target(hold);
    switch (copy->failed) {
    case PI_FORK_DONE:
        break;
    case PI_FORK_TOO_LATE:
        return PI_HOLD_TOO_LATE;
    case PI_FORK_GONE:
        return PI_HOLD_GONE;
    default:
        return PI_HOLD_NOT_COPIED;
    }
    return copy->planned == PI_HOLD_DONE ? open_files(hold) : copy->planned;
}

/* The text of maps as it is by now serves the search only. */
void pi_copy_prepare(pi_hold *hold) {
    pi_copy *copy = hold->copy;
    copy->task_directory = hold->stop.task_directory;
    if (copy->is_of_host)
        return;
    pi_fork *fork = &copy->fork;
    fork->stop = &hold->stop;
    fork->proc = hold->proc;
    fork->maps = hold->maps;
    fork->maps_capacity = hold->maps_capacity;
    if (pi_hold_read_maps(hold) != PI_HOLD_DONE)
        return;
    fork->maps_length = hold->maps_length;
    pi_inject_search search = {.pid = hold->pid,
                               .maps = hold->maps,
                               .maps_length = hold->maps_length,
                               .code = (unsigned char *)copy->record.areas,
                               .code_capacity = CODE_CAPACITY};
    pi_inject_find_gadgets(&search, &fork->gadgets);
    fork->has_fork_events = pi_fork_has_events(hold->stop.helper, hold->process_directory);
    pi_copy_reap_old(fork);
}

/* How many pages are mapped, whether they exist or not: the first number in statm; 0 where it can't
 * be read. */
static uint64_t mapped_pages(const pi_hold *hold, int directory, const char *statm) {
    char text[STATM_CAPACITY];
    uint64_t pages = 0;
    long file = pi_helper_open(hold->stop.helper, directory, statm, O_RDONLY);
    long length = file < 0 ? 0 : raw_read((int)file, text, sizeof text);
    if (file >= 0)
        raw_close((int)file);
    for (long i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++)
        pages = pages * 10 + (uint64_t)(text[i] - '0');
    return pages;
}

/* A fork keeps whole mappings from the copy (MADV_DONTFORK) and adds none. The kernel counts what
 * is mapped exactly, whatever it estimates of pages. */
static bool has_all_mappings(const pi_hold *hold) {
    char path[PI_COPY_PATH_BYTES];
    pi_copy_path(path, hold->copy->pid, "/statm");
    uint64_t pages = mapped_pages(hold, hold->proc, path);
    return pages != 0 && pages == mapped_pages(hold, hold->memory_directory, "statm");
}

static int make_record(pi_hold *hold, int pagemap) {
    pi_page_record *record = &hold->copy->record;
    record->type = hold->choice.type;
    record->always = hold->plan.ranges;
    record->always_count = hold->plan.range_count;
    record->maps = hold->maps;
    record->maps_length = hold->maps_length;
    record->copy_memory = hold->copy->memory_file;
    record->copy_has_all = has_all_mappings(hold);
    record->pages->helper = record->copy_pages->helper = hold->stop.helper;
    record->pages->deadline_ns = record->copy_pages->deadline_ns = pi_hold_deadline_ns(hold);
    pi_pages_begin(record->pages, pagemap);
    pi_pages_begin(record->copy_pages, hold->copy->pagemap_file);
    return pi_record_make(record);
}

pi_hold_result pi_hold_copy(pi_hold *hold) {
    pi_hold_result result = make_copy(hold);
    if (result != PI_HOLD_DONE)
        return result;
    long pagemap = pi_helper_open(hold->stop.helper, hold->memory_directory, "pagemap", O_RDONLY);
    if (pagemap < 0)
        return pi_hold_file_failed(hold, "pagemap", pagemap);
    int failed = make_record(hold, (int)pagemap);
    raw_close((int)pagemap);
    if (failed != 0)
        return pi_hold_pages_failed(hold, failed);
    hold->copy->held_count = pi_record_choose_held(&hold->copy->record, hold->plan.budget_bytes,
                                                   hold->copy->held, PI_RECORD_MAX_RUNS);
    return pi_hold_read_ranges(hold, hold->copy->held, hold->copy->held_count);
}

/* "Private_Dirty:      123 kB" and what else begins so. */
static uint64_t private_bytes(const char *text, long length) {
    static const char label[] = "\nPrivate_";
    uint64_t kib = 0;
    for (long i = 0, matched = 0; i < length; i++) {
        matched = text[i] == label[matched] ? matched + 1 : text[i] == label[0];
        if (label[matched] != '\0')
            continue;
        matched = 0;
        while (i < length && text[i] != ':')
            i++;
        uint64_t number = 0;
        for (i++; i < length && text[i] != '\n'; i++)
            if (text[i] >= '0' && text[i] <= '9')
                number = number * 10 + (uint64_t)(text[i] - '0');
        i--; /* the end of this line begins the next label */
        kib += number;
    }
    return kib * 1024;
}

/* When to look again. */
static uint64_t look_at_growth(pi_copy *copy) {
    char text[ROLLUP_CAPACITY];
    uint64_t begin_ns = raw_now_ns();
    long length = raw_call(SYS_pread64, copy->growth_file, (long)text, sizeof text, 0);
    uint64_t end_ns = raw_now_ns();
    if (length > 0)
        atomic_store(&copy->growth_bytes, private_bytes(text, length));
    uint64_t interval_ns = (end_ns - begin_ns) * LEAST_GROWTH_INTERVAL;
    return end_ns + (interval_ns > growth_interval_ns ? interval_ns : growth_interval_ns);
}

/* It may be the tracer's part of its end; the process's own is left. */
static bool has_ended(const pi_copy *copy) {
    int status;
    long got = raw_wait(copy->pid, &status, __WALL | WNOHANG);
    return got < 0 || (got == copy->pid && !WIFSTOPPED(status));
}

static pi_copy_state watch(const pi_hold *hold) {
    pi_copy *copy = hold->copy;
    uint64_t begin_ns = raw_now_ns();
    uint64_t until_ns = begin_ns + copy->max_age_ns;
    /* It hasn't grown yet, and many a dump is done by then. */
    uint64_t look_ns = begin_ns + STEP_NS;
    while (!pi_helper_must_stop(hold->stop.helper)) {
        if (has_ended(copy))
            return PI_COPY_WAS_KILLED;
        uint64_t now_ns = raw_now_ns();
        if (now_ns >= until_ns)
            return PI_COPY_TOO_OLD;
        if (copy->growth_file >= 0 && now_ns >= look_ns)
            look_ns = look_at_growth(copy);
        if (copy->max_growth_bytes != 0 &&
            atomic_load(&copy->growth_bytes) > copy->max_growth_bytes)
            return PI_COPY_TOO_LARGE;
        pi_helper_sleep(hold->stop.helper, STEP_NS);
    }
    return PI_COPY_NONE;
}

static void end_copy_of_host(pi_copy *copy, bool has_ended_already) {
    int status;
    if (has_ended_already || copy->pid == 0)
        return;
    raw_call(SYS_kill, copy->pid, SIGKILL, 0, 0);
    while (raw_wait(copy->pid, &status, __WALL) == copy->pid && WIFSTOPPED(status))
        continue;
}

static void hand_over(pi_copy *copy) {
    pi_helper_hand_over(copy->memory_file);
    pi_helper_hand_over(copy->pagemap_file);
    pi_helper_hand_over(copy->growth_file);
    pi_helper_hand_over(copy->task_directory);
    atomic_store(&copy->hands_over, true);
}

static void end_copy(pi_hold *hold, bool has_ended_already) {
    pi_copy *copy = hold->copy;
    pi_helper_clean_up(hold->stop.helper, end_limit_ns);
    if (copy->is_of_host) {
        end_copy_of_host(copy, has_ended_already);
        return;
    }
    if (copy->failed == PI_FORK_TOO_LATE && copy->fork.through_tid != 0)
        pi_copy_find_late(&copy->fork);
    pi_copy_end(&copy->fork);
}

static void close_file(int *file) {
    if (*file >= 0)
        raw_close(*file);
    *file = -1;
}

/* The files first: where descriptors are scarce the end needs them. */
void pi_copy_give_up(pi_hold *hold) {
    close_file(&hold->copy->memory_file);
    close_file(&hold->copy->pagemap_file);
    close_file(&hold->copy->growth_file);
    end_copy(hold, false);
    hand_over(hold->copy);
}

void pi_copy_keep(pi_hold *hold) {
    pi_helper *helper = hold->stop.helper;
    pi_copy *copy = hold->copy;
    pi_helper_start_watchdog(helper, settle_limit_ns);
    bool stands = copy->is_of_host || pi_copy_settle(&copy->fork);
    atomic_store(&copy->state, stands ? PI_COPY_LIVES : PI_COPY_WAS_KILLED);
    pi_helper_stop_watchdog(helper);
    hand_over(copy);
    pi_helper_report(helper);
    pi_copy_state state = stands ? watch(hold) : PI_COPY_WAS_KILLED;
    atomic_store(&copy->state, (int)state);
    end_copy(hold, state == PI_COPY_WAS_KILLED);
}
