/* SPDX-License-Identifier: MIT */
#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"

/*
 * Is every fork since the tree was read known? While one of three things holds: the events come, or
 * orphans come to the root, or all members are traced with what they fork.
 */

/* The tree as of when its root became the reaper, where events were lost: what was given to init
 * before that may have been missed. Once members have been asked to end it is too late for that,
 * and who has found no place has found none. */
static void count_from_adoption(pi_kill_tree *tree) {
    tree->is_exact =
        !tree->is_full && (tree->asked_at_ns == 0 || tree->adopted_at_ns < tree->asked_at_ns);
    if (tree->is_exact)
        tree->read_at_ns = tree->adopted_at_ns;
}

void pi_kill_gain_reaper(pi_kill_tree *tree) {
    tree->has_reaper = true;
    tree->adopted_at_ns = raw_now_ns();
    if (tree->events < 0)
        count_from_adoption(tree);
}

void pi_kill_lose_reaper(pi_kill_tree *tree) {
    tree->has_reaper = false;
    if (tree->events < 0)
        tree->is_exact = tree->is_exact && tree->all_are_traced;
}

void pi_kill_lose_events(pi_kill_tree *tree) {
    pi_kill_close_events(tree);
    tree->events_are_sure = false;
    if (!tree->has_reaper)
        pi_kill_want_reaper(tree);
    tree->is_exact = false;
    if (tree->has_reaper || tree->all_are_traced)
        count_from_adoption(tree);
}
