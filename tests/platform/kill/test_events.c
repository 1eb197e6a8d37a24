/* SPDX-License-Identifier: MIT */
/* Where the kernel tells a subscriber of its processes, the kill's subscription is accepted, and
 * the forks of a process are heard of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/linux/kill/tree.h"

enum { FORKS = 20, MESSAGE_BYTES = 512, MESSAGES = 100000 };

static pi_kill_tree tree;

/* Listens as any program does: whether a message about a process comes that was started then. */
static bool kernel_tells_of_forks(void) {
    struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    char bytes[MESSAGE_BYTES] = {0};
    struct nlmsghdr *header = (struct nlmsghdr *)(void *)bytes;
    struct cn_msg *message = NLMSG_DATA(header);
    const enum proc_cn_mcast_op listen = PROC_CN_MCAST_LISTEN;
    bool is_told = false;
    int events = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (events < 0)
        return false;
    message->id = (struct cb_id){CN_IDX_PROC, CN_VAL_PROC};
    message->len = sizeof listen;
    memcpy(message->data, &listen, sizeof listen);
    header->nlmsg_len = NLMSG_LENGTH(sizeof *message + sizeof listen);
    header->nlmsg_type = NLMSG_DONE;
    bool is_sent = bind(events, (struct sockaddr *)&group, sizeof group) == 0 &&
                   send(events, bytes, header->nlmsg_len, 0) > 0;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, NULL, 0);
    for (int i = 0; is_sent && !is_told && i < MESSAGES; i++) {
        struct proc_event event = {0};
        if (recv(events, bytes, sizeof bytes, 0) < 0)
            break;
        memcpy(&event, message->data, sizeof event);
        is_told = event.what == PROC_EVENT_FORK && event.event_data.fork.child_pid == child;
    }
    close(events);
    return is_told;
}

static bool is_heard_of(pid_t child) {
    for (size_t i = 0; i < tree.fork_count; i++)
        if (tree.forks[i].child_pid == child)
            return tree.forks[i].parent_pid == getpid();
    return false;
}

static void forks_are_heard_of(void **state) {
    (void)state;
    if (!kernel_tells_of_forks())
        skip(); /* a namespace, an older kernel, or a user without the right */
    pid_t children[FORKS];
    pi_kill_open_events(&tree);
    assert_true(tree.events >= 0);
    assert_true(tree.is_exact);
    for (int i = 0; i < FORKS; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(0);
        waitpid(children[i], NULL, 0);
        pi_kill_read_events(&tree);
    }
    bool has_lost = tree.events < 0; /* an ordinary user's socket has little room */
    for (int i = 0; !has_lost && i < FORKS; i++)
        assert_true(is_heard_of(children[i]));
    assert_true(!has_lost || geteuid() != 0);
    pi_kill_close_events(&tree);
    assert_int_equal(tree.events, -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forks_are_heard_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
