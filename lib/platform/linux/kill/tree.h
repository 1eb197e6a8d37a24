/* SPDX-License-Identifier: MIT */
#ifndef PI_PLATFORM_LINUX_KILL_TREE_H
#define PI_PLATFORM_LINUX_KILL_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/linux/kill/cgroup.h"
#include "platform/linux/kill/index.h"
#include "platform/linux/trace/helper.h"

/*
 * Ending a tree of processes. The work is done by the helper process (trace/helper.h) in the files
 * of this folder, which are built like it and call no libc; kill.c and report.c are the host's
 * side. They share one pi_kill_tree, made by the host of memory that costs nothing until it is
 * used.
 *
 * The difficulty is to know the members. A process that ends gives its children to init, and with
 * that the link to its parent is lost: whoever looks at /proc after that can't tell them from
 * strangers. So the tree is read once, at one instant, and from before that instant on every fork
 * is heard of as it happens:
 *
 *   - from the kernel's process events (kill/events.c), which name the parent of each new process
 *     before it runs. They need no permission to trace, but exist in the first pid, user and
 *     network namespace only, for ordinary users since Linux 6.6, and for these with so little room
 *     that some are lost where many fork;
 *   - by making the root of the tree the reaper of its orphans (kill/adopt.c): they come to it, and
 *     not to init. It takes tracing, and no process events;
 *   - from tracing (kill/trace.c): what a seized process forks is seized with it. Once all members
 *     are traced, no link is needed any more;
 *   - without all of these members are stopped by SIGSTOP, and looked for until none is new.
 */

/* How a member is kept from forking and ending until all are known. */
typedef enum pi_kill_hold {
    PI_KILL_RUNS,    /* not tried yet */
    PI_KILL_SEIZED,  /* traced by us; its threads stop */
    PI_KILL_REFUSED, /* tracing it was refused */
    PI_KILL_STOPPED  /* refused, and SIGSTOP was sent in its place */
} pi_kill_hold;

typedef struct pi_kill_member {
    int32_t pid;
    int32_t parent_pid; /* when it was found */
    int32_t session_id;
    int32_t pidfd;               /* the helper's descriptor; -1 for none */
    uint64_t start_ticks;        /* since boot; 0: it hasn't been looked at */
    uint64_t latest_start_ticks; /* who started later has only got its number */
    uint32_t live_place;         /* in the table of the living */
    uint32_t running_threads;    /* seized, and not known to stand */
    uint32_t sleeping_threads;   /* likewise, and in D: they stand when they wake */
    int32_t os_errno;            /* why it could not be signalled; 0 */
    uint8_t hold;                /* pi_kill_hold */
    bool is_tied;                /* looked at, and held by the pidfd if it was there */
    bool has_ended;              /* dead, or a zombie */
    bool was_signalled;          /* SIGKILL was sent */
    bool is_other_users;         /* the policy forbids to touch it */
    bool had_stopped;            /* before we came */
    bool was_there;              /* it lived when we first looked at it */
    bool is_last;                /* the host: when all others are gone */
    bool is_whole;               /* no thread is left that isn't traced */
    bool is_reaper;              /* gets the others' orphans: when all but the host are gone */
    char name[17];
} pi_kill_member;

/* A process as a walk over /proc finds it. */
typedef struct pi_kill_process {
    int32_t pid;
    int32_t parent_pid;
    int32_t session_id;
    uint32_t thread_count; /* a zombie's first thread counts */
    uint64_t start_ticks;
    bool is_kernel_thread;
    char state;
    char name[17];
} pi_kill_process;

/* A cgroup that members are in, as /proc/PID/cgroup has it. */
enum { PI_KILL_CGROUP_CAPACITY = 1024 };
typedef struct pi_kill_cgroup {
    size_t length;
    char line[PI_KILL_CGROUP_CAPACITY]; /* ends with a NUL */
} pi_kill_cgroup;

/* No member, but maybe once one. */
typedef struct pi_kill_escaped {
    pi_kill_process process;
    bool shares_session;
    int32_t cgroup; /* the one it shares, of tree->cgroups; -1 for none */
} pi_kill_escaped;

typedef struct pi_kill_fork {
    int32_t parent_pid;
    int32_t child_pid;
    uint64_t at_ticks; /* since boot, like start times, and no earlier than the child's */
} pi_kill_fork;

/* What stood in the way before anything was touched, or ended the work early. */
typedef enum pi_kill_refusal {
    PI_KILL_NOT_BEGUN, /* the helper ended before it came to this */
    PI_KILL_ACCEPTED,
    PI_KILL_INIT,
    PI_KILL_KERNEL_THREAD,
    PI_KILL_HOLDS_HOST,
    PI_KILL_NOT_PERMITTED, /* by the kernel */
    PI_KILL_OTHER_USER,    /* by the policy */
    PI_KILL_ROOT_GONE,
    PI_KILL_TOO_MANY,
    PI_KILL_SYSTEM_CALL, /* os_errno says */
    PI_KILL_CANCELLED
} pi_kill_refusal;

enum {
    PI_KILL_MAX_PROCESSES = 262144, /* on the system */
    PI_KILL_MAX_MEMBERS = 131072,
    PI_KILL_MAX_ESCAPED = 4096,
    PI_KILL_MAX_ANCESTORS = 4096,
    PI_KILL_MAX_CGROUPS = 64,
    PI_KILL_MAPS_BYTES = 1048576,
    PI_KILL_CODE_BYTES = 65536,
    PI_KILL_MAX_FORKS = 65536 /* heard of while the tree is read */
};

/* What is done with a member that is found. */
typedef enum pi_kill_phase {
    PI_KILL_LOOKING,   /* nothing */
    PI_KILL_FOLLOWING, /* seized, and runs on */
    PI_KILL_HOLDING,   /* seized, and stops */
    PI_KILL_KILLING
} pi_kill_phase;

typedef struct pi_kill_tree pi_kill_tree;
struct pi_kill_tree {
    /* Asked; the host fills it. */
    int32_t root_pid;
    uint64_t root_start_ticks;
    int32_t host_pid;
    int proc;            /* /proc */
    uint64_t user_id;    /* members of other users are refused; PI_ANY_USER */
    uint64_t grace_ns;   /* 0: SIGKILL at once */
    uint64_t limit_ns;   /* for the whole, behind the grace */
    bool include_host;   /* the host may be a member, and is ended last */
    bool host_is_reaper; /* it is the root, and gets its orphans by itself */
    bool only_check;     /* nothing is signalled */
    bool never_trace;    /* tracing a member has hung before */
    bool was_asked;      /* SIGTERM was sent by an attempt before this one */
    bool is_kept;        /* the helper could not be ended, and may yet write here */

    /* Answered. */
    pi_kill_refusal refusal;
    int32_t refused_pid;
    uint32_t refused_user_id;
    int32_t os_errno;
    bool is_exact;  /* every fork since the tree was read is known */
    bool has_begun; /* something was stopped or signalled, by an attempt before this one, too */
    uint64_t read_at_ns;
    size_t member_count; /* at first those of one that had begun, which the host fills */
    size_t escaped_count;

    /* At work. */
    pi_helper *helper;
    uint64_t end_by_ns; /* the helper, by its watchdog */
    int32_t own_pid;
    int epoll, child_signals, events;
    int pidfd_limit;          /* those from here on are left for reading /proc */
    bool events_are_sure;     /* they have room for more than can come */
    uint64_t events_epoch_ns; /* what their times count from, since boot */
    pi_kill_phase phase;
    uint64_t asked_at_ns;   /* when SIGTERM was sent; 0: it wasn't */
    bool wants_reaper;      /* and it may not be too late for one */
    uint64_t adopt_by_ns;   /* until when it is tried */
    bool has_reaper;        /* orphans come to the root */
    uint64_t adopted_at_ns; /* since when they do */
    uint32_t adopt_tries;
    uint32_t adopt_looks;       /* when time was short */
    uint64_t adopt_instruction; /* a system call's, in the root's memory */
    int32_t adopted_through;    /* the thread of the root that made the call; 0: it was so before */
    bool all_are_traced;        /* none is a member but who is traced, with all that it forks */
    bool found_untraced;        /* a member was, since this was last reset */
    bool missed_some;           /* some ended between being listed and being read, the last time */
    bool has_tracees;     /* some may have been seized with their parent, and not told of it */
    bool is_full;         /* a member found no place */
    bool heard_news;      /* something happened since this was last reset */
    uint32_t live_count;  /* members that haven't ended */
    uint32_t spent_count; /* records that may be used again */
    uint32_t spent_place; /* where the search for one goes on */
    size_t fork_count;
    bool is_read; /* forks are told from here on at once, no longer kept in `forks` */
    size_t process_count;
    bool missed_thread;           /* one couldn't be seized: it is going, or we may not */
    uint32_t listed_thread_count; /* by the last pi_kill_each_thread */
    uint32_t cgroup_count;
    uint32_t ancestor_count;
    pi_kill_index members_by_pid;
    pi_kill_index threads; /* of seized members: tid to state */

    char maps[PI_KILL_MAPS_BYTES];          /* of the root, while code is looked for */
    unsigned char code[PI_KILL_CODE_BYTES]; /* likewise */
    pi_kill_member members[PI_KILL_MAX_MEMBERS];
    uint32_t live[PI_KILL_MAX_MEMBERS]; /* places of those that haven't ended, in no order */
    pi_kill_escaped escaped[PI_KILL_MAX_ESCAPED];
    int32_t ancestors[PI_KILL_MAX_ANCESTORS]; /* of the root, its parent first */
    pi_kill_cgroup cgroups[PI_KILL_MAX_CGROUPS];
    pi_kill_process processes[PI_KILL_MAX_PROCESSES];
    pi_kill_fork forks[PI_KILL_MAX_FORKS];
};

/* The helper's job; its argument is a pi_kill_tree. */
void pi_kill_job(pi_helper *helper, void *tree);

/* --- kill/read.c: /proc --- */

/* The process with this pid, which may be a zombie: 0 or a negative errno, -EAGAIN where it
 * seemed to be changing its first thread all the time. */
int pi_kill_read_process(const pi_kill_tree *tree, int32_t pid, pi_kill_process *process);
/* All processes into tree->processes. Hears of forks meanwhile. */
int pi_kill_read_all(pi_kill_tree *tree);
/* Calls for each thread until the function says false, which is the answer; false, too, where they
 * can't be listed, for want of descriptors, say. */
bool pi_kill_each_thread(pi_kill_tree *tree, int32_t pid,
                         bool (*visit)(pi_kill_tree *tree, int32_t pid, int32_t tid));
/* How many threads there are; 0 where that can't be told. A walk that began later and listed fewer
 * has missed some, as it can behind one that goes meanwhile. */
uint32_t pi_kill_count_threads(const pi_kill_tree *tree, int32_t pid);
/* The state letter of a thread; 'X' when it is gone, '?' where that can't be told. */
char pi_kill_thread_state(const pi_kill_tree *tree, int32_t pid, int32_t tid);
/* Whether a thread that sleeps where nothing wakes it may be about to make another, or a process,
 * and not only wait for one that is there (vfork). False where that can't be told. */
bool pi_kill_may_be_forking(pi_kill_tree *tree, int32_t pid, int32_t tid);
/* Dead, or a zombie with no thread alive. False where that can't be told. */
bool pi_kill_has_ended(pi_kill_tree *tree, int32_t pid);
/* A number of /proc/TID/status behind "\nKEY:\t"; -1 where there is none. */
int32_t pi_kill_read_status(const pi_kill_tree *tree, int32_t tid, const char *key);
/* Of the file /proc/PID<name>: the length or a negative errno. One reading, which is enough for all
 * but lists of mappings: the kernel gives these page by page. */
long pi_kill_read_file(const pi_kill_tree *tree, int32_t pid, const char *name, char *bytes,
                       size_t capacity);
/* /proc/PID/maps into tree->maps, as much as fits there: the length or a negative errno. */
long pi_kill_read_maps(pi_kill_tree *tree, int32_t pid);
int pi_kill_read_owner(const pi_kill_tree *tree, int32_t pid, uint32_t *user_id);

/* --- kill/members.c --- */

pi_kill_member *pi_kill_find_member(pi_kill_tree *tree, int32_t pid);
/*
 * The i-th that hasn't ended, NULL behind the last. Whoever walks from the last to the first meets
 * each, however many end meanwhile, and those that are found meanwhile not.
 */
pi_kill_member *pi_kill_live_member(pi_kill_tree *tree, uint32_t i);
/* Reads the tree: members are the root, what descends from it, and what they fork from now on. */
int pi_kill_read_tree(pi_kill_tree *tree);
/* Adds the process where it is an unknown child of a member, and treats it as the phase asks for.
 */
void pi_kill_note_process(pi_kill_tree *tree, const pi_kill_process *process);
/* Looks at /proc again: true where members were found that weren't known. */
bool pi_kill_look_again(pi_kill_tree *tree);
/* A fork as the kernel tells of it. Adds the child where the parent is a member, and treats it as
 * the phase asks for. */
void pi_kill_note_fork(pi_kill_tree *tree, const pi_kill_fork *fork);
/* Ties the record to the process, or finds that it has ended: 0 or a negative errno. */
int pi_kill_tie(pi_kill_tree *tree, pi_kill_member *member);
/* A process that was seized with its parent: the member, NULL where there is no place for it. */
pi_kill_member *pi_kill_note_seized(pi_kill_tree *tree, int32_t pid);
void pi_kill_mark_ended(pi_kill_tree *tree, pi_kill_member *member);

/* --- kill/lineage.c: whether every fork is known --- */

/* Orphans come to the root from now on. */
void pi_kill_gain_reaper(pi_kill_tree *tree);
/* The root has ended. */
void pi_kill_lose_reaper(pi_kill_tree *tree);
/* Some events were lost; there are none any more. */
void pi_kill_lose_events(pi_kill_tree *tree);

/* --- kill/hold.c --- */

/* Has all members traced with what they fork, while they run on. */
void pi_kill_follow_all(pi_kill_tree *tree);
/* Until all members stand, or have ended, and nothing is new. What can't be brought to stand in
 * time is killed as it is. */
void pi_kill_hold_all(pi_kill_tree *tree);
/* The same for one, in a pass of many: whether it stands, or has ended. */
bool pi_kill_hold_member(pi_kill_tree *tree, pi_kill_member *member);
/* Lets all go on as if nothing had been. The helper's end lets go of those that don't stand yet. */
void pi_kill_release_all(pi_kill_tree *tree);

/* --- kill/adopt.c --- */

/* Has it tried from now on, anew. */
void pi_kill_want_reaper(pi_kill_tree *tree);
/* Makes the root the reaper of the tree's orphans; tree->has_reaper says whether it is, and
 * tree->wants_reaper whether to try again. */
void pi_kill_adopt(pi_kill_tree *tree);
/* What it was before. tree->adopted_through is 0 then. */
void pi_kill_undo_adoption(pi_kill_tree *tree);
/* The same as a helper's job, after another that ended before it came to that; of the pi_kill_tree
 * only what the host fills, and adopted_through, are set. */
void pi_kill_undo_job(pi_helper *helper, void *tree);

/* --- kill/events.c --- */

/* Subscribes to the kernel's process events; tree->events is -1 where there are none for us. */
void pi_kill_open_events(pi_kill_tree *tree);
void pi_kill_read_events(pi_kill_tree *tree);
void pi_kill_close_events(pi_kill_tree *tree);

/* --- kill/trace.c --- */

/* Seizes the threads of a member; sets member->hold. They stop, or run on in the phase FOLLOWING.
 */
void pi_kill_seize(pi_kill_tree *tree, pi_kill_member *member);
/* Seizes the first thread by its number, before the member is looked at: true where it is seized.
 */
bool pi_kill_seize_unseen(pi_kill_tree *tree, pi_kill_member *member);
/* A process in the middle of an execve from a file system that doesn't answer can't be seized, nor
 * can what is mapped from one be read: these calls wait for it. The kernel ends the helper then,
 * and with it whatever it holds. */
void pi_kill_arm_watchdog(pi_kill_tree *tree);
void pi_kill_disarm_watchdog(pi_kill_tree *tree);
/* It wasn't the member: let go of it. */
void pi_kill_disown(pi_kill_tree *tree, int32_t tid);
/* Tells the seized threads of a member to stop that were let run. */
void pi_kill_interrupt(pi_kill_tree *tree, pi_kill_member *member);
/* Takes what the seized report. */
void pi_kill_reap(pi_kill_tree *tree);
/* Looks which threads of a seized member still run, where they don't report it, and which sleep
 * uninterruptibly. */
void pi_kill_look_closer(pi_kill_tree *tree, pi_kill_member *member);
/* Of one that can't be traced: whether it is to be stopped instead. */
bool pi_kill_must_stand(const pi_kill_tree *tree, const pi_kill_member *member);
/* Whether the member can't fork or end by itself until it is let go of, where that can be had. */
bool pi_kill_is_held(pi_kill_tree *tree, pi_kill_member *member);
/* For who lets a standing thread run until it stops again: the signal that it has yet to take, or
 * 0; -1 where it doesn't stand. */
int pi_kill_take_stop(pi_kill_tree *tree, int32_t tid);
/* Whether its first thread is seized: its number is no other's, then, until we have waited for it.
 */
bool pi_kill_keeps_number(pi_kill_tree *tree, const pi_kill_member *member);
/* Lets a thread that stands go on with this signal, or 0, as if it had never been stopped. */
void pi_kill_detach_thread(int32_t tid, int signal);
/* Lets the seized threads of a member go on as if nothing had been. */
void pi_kill_detach(pi_kill_tree *tree, pi_kill_member *member);

/* --- kill/signal.c --- */

/* Opens what pi_kill_wait waits for, after the events: 0 or a negative errno. */
int pi_kill_open_wait(pi_kill_tree *tree);
/* The member's end is news from now on. */
void pi_kill_watch_member(const pi_kill_tree *tree, const pi_kill_member *member);
/* Sends a signal to that very process: 0 or a negative errno. */
int pi_kill_send(pi_kill_tree *tree, pi_kill_member *member, int signal);
/* SIGSTOP, and what it was before. */
void pi_kill_stop_member(pi_kill_tree *tree, pi_kill_member *member);
/* Lets those run that were stopped by that. */
void pi_kill_continue_stopped(pi_kill_tree *tree);
/* SIGKILL, unless it is to be ended later. */
void pi_kill_kill_member(pi_kill_tree *tree, pi_kill_member *member);
/* Waits for news, at most this long. False when there were none. */
bool pi_kill_wait(pi_kill_tree *tree, uint64_t limit_ns);

/* --- kill/cgroup.c --- */

/* Notes which cgroups the members are in who live. */
void pi_kill_note_cgroups(pi_kill_tree *tree);
/* Forgets those that this process is in. */
void pi_kill_drop_cgroups_of(pi_kill_tree *tree, int32_t pid);
/* The one of them that this process is in; -1 for none. */
int32_t pi_kill_find_cgroup(const pi_kill_tree *tree, int32_t pid);

/* --- kill/escaped.c --- */

/* Notes what tells orphans of the tree from others, while the members live. */
void pi_kill_prepare_escaped(pi_kill_tree *tree);
/* Orphans that may have been of the tree; into tree->escaped. */
void pi_kill_find_escaped(pi_kill_tree *tree);

#endif
