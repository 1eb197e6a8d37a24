/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"

enum { NEWS_CAPACITY = 64, SIGNAL_SET_BYTES = 8 };

/* What a piece of news is about; members follow by their index. */
enum { NEWS_EVENTS, NEWS_CHILDREN, NEWS_HOST, NEWS_MEMBERS };

int pi_kill_send(pi_kill_tree *tree, pi_kill_member *member, int signal) {
    if (member->pidfd >= 0)
        return (int)raw_call(SYS_pidfd_send_signal, member->pidfd, signal, 0, 0);
    if (pi_kill_keeps_number(tree, member))
        return (int)raw_call(SYS_kill, member->pid, signal, 0, 0);
    return -EMFILE;
}

void pi_kill_kill_member(pi_kill_tree *tree, pi_kill_member *member) {
    if (member->pidfd < 0 && member->os_errno == EMFILE && !member->was_signalled)
        member->is_tied = false; /* those that have ended since have left some */
    pi_kill_tie(tree, member);
    if (member->has_ended || member->is_last || member->is_reaper || member->was_signalled ||
        member->is_other_users)
        return;
    int result = pi_kill_send(tree, member, SIGKILL);
    if (result == -ESRCH)
        pi_kill_mark_ended(tree, member);
    else if (result != 0)
        member->os_errno = -result;
    else
        member->was_signalled = true;
}

void pi_kill_stop_member(pi_kill_tree *tree, pi_kill_member *member) {
    member->had_stopped = pi_kill_thread_state(tree, member->pid, member->pid) == 'T';
    member->hold = PI_KILL_STOPPED; /* first: the host lets it go on should we be killed in this */
    int result = pi_kill_send(tree, member, SIGSTOP);
    if (result == 0)
        return;
    member->hold = PI_KILL_REFUSED;
    member->os_errno = -result;
}

void pi_kill_continue_stopped(pi_kill_tree *tree) {
    for (uint32_t i = tree->live_count; i-- > 0;) {
        pi_kill_member *member = pi_kill_live_member(tree, i);
        if (member != NULL && member->hold == PI_KILL_STOPPED && !member->had_stopped)
            pi_kill_send(tree, member, SIGCONT);
    }
}

static void watch(const pi_kill_tree *tree, int descriptor, uint64_t about) {
    struct epoll_event news = {.events = EPOLLIN, .data = {.u64 = about}};
    if (descriptor >= 0)
        raw_call(SYS_epoll_ctl, tree->epoll, EPOLL_CTL_ADD, descriptor, (long)&news);
}

void pi_kill_watch_member(const pi_kill_tree *tree, const pi_kill_member *member) {
    watch(tree, member->pidfd, NEWS_MEMBERS + (uint64_t)(member - tree->members));
}

int pi_kill_open_wait(pi_kill_tree *tree) {
    uint64_t child = UINT64_C(1) << (SIGCHLD - 1);
    tree->epoll = (int)raw_call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0);
    tree->child_signals = (int)raw_call(SYS_signalfd4, -1, (long)&child, SIGNAL_SET_BYTES,
                                        SFD_CLOEXEC | SFD_NONBLOCK);
    if (tree->epoll < 0 || tree->child_signals < 0)
        return tree->epoll < 0 ? tree->epoll : tree->child_signals;
    watch(tree, tree->child_signals, NEWS_CHILDREN);
    watch(tree, tree->helper->host_pidfd, NEWS_HOST);
    watch(tree, tree->events, NEWS_EVENTS);
    return 0;
}

static void take_signal(const pi_kill_tree *tree) {
    struct signalfd_siginfo info;
    raw_read(tree->child_signals, &info, sizeof info);
}

static void take_news(pi_kill_tree *tree, uint64_t about) {
    switch (about) {
    case NEWS_EVENTS:
        break; /* read below, whatever woke us */
    case NEWS_CHILDREN:
        take_signal(tree);
        break;
    case NEWS_HOST: /* seen by pi_helper_must_stop; told once */
        raw_call(SYS_epoll_ctl, tree->epoll, EPOLL_CTL_DEL, tree->helper->host_pidfd, 0);
        break;
    default:
        pi_kill_mark_ended(tree, &tree->members[about - NEWS_MEMBERS]);
    }
}

bool pi_kill_wait(pi_kill_tree *tree, uint64_t limit_ns) {
    struct epoll_event news[NEWS_CAPACITY];
    int64_t limit_ms = (int64_t)(limit_ns / 1000000);
    tree->heard_news = false;
    pi_kill_read_events(tree);
    pi_kill_reap(tree);
    long count = raw_call6(SYS_epoll_pwait, tree->epoll, (long)news, NEWS_CAPACITY,
                           tree->heard_news ? 0 : limit_ms, 0, SIGNAL_SET_BYTES);
    for (long i = 0; i < count; i++)
        take_news(tree, news[i].data.u64);
    pi_kill_read_events(tree);
    pi_kill_reap(tree);
    return count > 0 || tree->heard_news;
}
