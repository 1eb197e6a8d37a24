/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"

/* The kernel's process events: a netlink multicast group that tells of every fork on the system. */

enum { RECEIVE_BUFFER_BYTES = 64 * 1024 * 1024, MOST_AT_ONCE = 4096, NS_PER_TICK = 10000000 };

/* struct cn_msg without the flexible array at its end. */
typedef struct connector_message {
    struct cb_id id;
    uint32_t seq;
    uint32_t ack;
    uint16_t len;
    uint16_t flags;
} connector_message;

typedef struct subscription {
    struct nlmsghdr header;
    connector_message message;
    uint32_t operation; /* enum proc_cn_mcast_op */
} subscription;

/* The kernel aligns nothing behind the two headers. */
typedef struct __attribute__((packed)) event_message {
    struct nlmsghdr header;
    connector_message message;
    struct proc_event event;
} event_message;

/* The kernel is told to drop, unseen, what is neither a fork nor an answer to us: filters load
 * numbers as big-endian. */
static void filter_events(int events) {
    enum { WHAT_OFFSET = sizeof(struct nlmsghdr) + sizeof(connector_message) };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, WHAT_OFFSET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __builtin_bswap32(PROC_EVENT_FORK), 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROC_EVENT_NONE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {sizeof code / sizeof code[0], code};
    raw_call6(SYS_setsockopt, events, SOL_SOCKET, SO_ATTACH_FILTER, (long)&program, sizeof program,
              0);
}

/* Whether all of it was granted, which takes CAP_NET_ADMIN; else it is what the system allows, some
 * hundred events. */
static bool enlarge_buffer(int events) {
    int size = RECEIVE_BUFFER_BYTES;
    if (raw_call6(SYS_setsockopt, events, SOL_SOCKET, SO_RCVBUFFORCE, (long)&size, sizeof size,
                  0) == 0)
        return true;
    raw_call6(SYS_setsockopt, events, SOL_SOCKET, SO_RCVBUF, (long)&size, sizeof size, 0);
    return false;
}

/* `cookie` tells the answer to us from those to others, which come to all: pids don't, since every
 * namespace has its own. It is the message's ack; the kernel counts its answers in seq, as it does
 * its events, whatever was asked with. */
static long subscribe(int events, uint32_t cookie, uint32_t operation) {
    subscription asked = {.operation = operation};
    asked.header.nlmsg_len = NLMSG_LENGTH(sizeof asked.message + sizeof asked.operation);
    asked.header.nlmsg_type = NLMSG_DONE;
    asked.message.id.idx = CN_IDX_PROC;
    asked.message.id.val = CN_VAL_PROC;
    asked.message.ack = cookie;
    asked.message.len = sizeof asked.operation;
    return raw_call6(SYS_sendto, events, (long)&asked, asked.header.nlmsg_len, 0, 0, 0);
}

/* One message of the kernel's: its length, or a negative errno. Others can send to us, too. */
static long receive(int events, event_message *message) {
    struct sockaddr_nl from = {0};
    long got;
    do {
        int from_size = sizeof from;
        got = raw_call6(SYS_recvfrom, events, (long)message, sizeof *message, MSG_DONTWAIT,
                        (long)&from, (long)&from_size);
    } while (got == -EINTR || (got >= 0 && from.nl_pid != 0));
    return got;
}

static bool is_event(const event_message *message, long length) {
    return length >= (long)(sizeof message->header + sizeof message->message +
                            offsetof(struct proc_event, event_data) +
                            sizeof message->event.event_data.fork) &&
           message->message.id.idx == CN_IDX_PROC && message->message.id.val == CN_VAL_PROC;
}

/* What the start times in /proc count from. */
static uint64_t now_since_boot_ns(void) {
    struct timespec now = {0, 0};
    raw_call(SYS_clock_gettime, CLOCK_BOOTTIME, (long)&now, 0, 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The answer to a subscription is there when the call that asked returns. Where the kernel has no
 * events for us (another namespace, no permission) there is none, or one with an error. */
static bool was_accepted(pi_kill_tree *tree, int events, uint32_t cookie) {
    event_message message;
    long length;
    while ((length = receive(events, &message)) >= 0)
        if (is_event(&message, length) && message.event.what == PROC_EVENT_NONE &&
            message.message.ack == cookie + 1) {
            tree->events_epoch_ns = now_since_boot_ns() - message.event.timestamp_ns;
            return message.event.event_data.ack.err == 0;
        }
    return false;
}

/* Events come as soon as the socket is bound, where others have subscribed before. */
static bool open_subscription(pi_kill_tree *tree, int events) {
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    uint32_t cookie;
    tree->events_are_sure = enlarge_buffer(events);
    filter_events(events);
    return raw_call(SYS_getrandom, (long)&cookie, sizeof cookie, 0, 0) == sizeof cookie &&
           raw_call(SYS_bind, events, (long)&group, sizeof group, 0) == 0 &&
           subscribe(events, cookie, PROC_CN_MCAST_LISTEN) > 0 &&
           was_accepted(tree, events, cookie);
}

void pi_kill_open_events(pi_kill_tree *tree) {
    tree->events = -1;
    long events = raw_call(SYS_socket, AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                           NETLINK_CONNECTOR, 0);
    if (events < 0)
        return;
    if (open_subscription(tree, (int)events))
        tree->events = (int)events;
    else
        raw_close((int)events);
    tree->is_exact = tree->events >= 0;
    tree->events_are_sure &= tree->events >= 0;
}

void pi_kill_read_events(pi_kill_tree *tree) {
    event_message message;
    for (int count = 0; tree->events >= 0 && count < MOST_AT_ONCE; count++) {
        long length = receive(tree->events, &message);
        if (length == -ENOBUFS)
            pi_kill_lose_events(tree);
        if (length < 0)
            return;
        if (!is_event(&message, length) || message.event.what != PROC_EVENT_FORK)
            continue;
        pi_kill_fork fork = {
            .parent_pid = message.event.event_data.fork.parent_tgid,
            .child_pid = message.event.event_data.fork.child_tgid,
            .at_ticks = (tree->events_epoch_ns + message.event.timestamp_ns) / NS_PER_TICK,
        };
        if (message.event.event_data.fork.child_pid == fork.child_pid) /* else it is a thread */
            pi_kill_note_fork(tree, &fork);
        if (count == MOST_AT_ONCE - 1)
            tree->heard_news = true; /* there may be more */
    }
}

void pi_kill_close_events(pi_kill_tree *tree) {
    if (tree->events < 0)
        return;
    subscribe(tree->events, 0, PROC_CN_MCAST_IGNORE);
    raw_close(tree->events);
    tree->events = -1;
}
