/* SPDX-License-Identifier: MIT */
#include <signal.h>

#include "platform/linux/kill/tree.h"
#include "platform/linux/trace/helper_system_call.h"

/* Keeping the members from forking unseen, and from ending, until all are known. */

/* Looks that find nothing new, by what they weigh: one that may have missed some is worth less. */
enum { STEP_NS = 2000000, WHOLE_LOOK = 5, PARTIAL_LOOK = 1, QUIET = 10 };

/* Passes that are made even where time is up: on a busy machine it passes without us. */
enum { LEAST_PASSES = 40 };

/* While all stand, and there are news all the same. */
static const uint64_t hold_limit_ns = UINT64_C(5000000000);
/* For the whole. Who doesn't stand, and doesn't sleep in D either, has yet to be given a processor:
 * on a busy machine that takes its time. */
static const uint64_t busy_limit_ns = UINT64_C(20000000000);
static const uint64_t release_limit_ns = UINT64_C(5000000000);
/* That nothing but threads in D is waited for: those in a fork wake by then. */
static const uint64_t patience_ns = UINT64_C(100000000);

static void bring_to_stand(pi_kill_tree *tree, pi_kill_member *member) {
    pi_kill_tie(tree, member);
    if (member->has_ended || member->is_other_users)
        return;
    /* Once more when all have stopped: a thread that one began to make before it was seized isn't
     * traced, and is there by then. */
    bool is_partial =
        member->hold == PI_KILL_SEIZED && member->running_threads == 0 && !member->is_whole;
    if (member->hold == PI_KILL_RUNS || is_partial)
        pi_kill_seize(tree, member);
    if (member->hold == PI_KILL_REFUSED && pi_kill_must_stand(tree, member))
        pi_kill_stop_member(tree, member);
}

bool pi_kill_hold_member(pi_kill_tree *tree, pi_kill_member *member) {
    bring_to_stand(tree, member);
    if (member->hold == PI_KILL_SEIZED)
        pi_kill_look_closer(tree, member);
    return pi_kill_is_held(tree, member);
}

/* Whether all stand, or have stood once where they are followed. */
static bool are_held(pi_kill_tree *tree, bool look_closer) {
    bool held = true;
    for (uint32_t i = tree->live_count; i-- > 0;) {
        pi_kill_member *member = pi_kill_live_member(tree, i);
        if (member == NULL)
            continue;
        if (look_closer) {
            held = pi_kill_hold_member(tree, member) && held;
            continue;
        }
        bring_to_stand(tree, member);
        held = pi_kill_is_held(tree, member) && held;
    }
    return held;
}

static bool has_untraced(pi_kill_tree *tree) {
    for (uint32_t i = tree->live_count; i-- > 0;)
        if (pi_kill_live_member(tree, i)->hold != PI_KILL_SEIZED)
            return true;
    return false;
}

/* Whether one can't be traced, and not because it was just ending. */
static bool has_refused(pi_kill_tree *tree) {
    for (uint32_t i = tree->live_count; i-- > 0;) {
        const pi_kill_member *member = pi_kill_live_member(tree, i);
        if (member->hold == PI_KILL_REFUSED && !pi_kill_has_ended(tree, member->pid))
            return true;
    }
    return false;
}

static bool has_sleepers(pi_kill_tree *tree) {
    for (uint32_t i = tree->live_count; i-- > 0;)
        if (pi_kill_live_member(tree, i)->sleeping_threads != 0)
            return true;
    return false;
}

/* How long it has been tried, and for how long all have stood. */
typedef struct hold_course {
    uint64_t begin_ns;
    uint64_t still_since_ns;
    int passes;
    int still_passes;
} hold_course;

static hold_course begin_course(void) {
    uint64_t now_ns = raw_now_ns();
    return (hold_course){.begin_ns = now_ns, .still_since_ns = now_ns};
}

static void note_pass(hold_course *course, bool held) {
    course->passes++;
    course->still_passes = held ? course->still_passes + 1 : 0;
    if (!held)
        course->still_since_ns = raw_now_ns();
}

static bool is_time_up(const hold_course *course) {
    uint64_t now_ns = raw_now_ns();
    return course->passes >= LEAST_PASSES && (now_ns - course->begin_ns >= busy_limit_ns ||
                                              now_ns - course->still_since_ns >= hold_limit_ns);
}

static bool is_patient(const hold_course *course) {
    return course->still_passes < LEAST_PASSES ||
           raw_now_ns() - course->still_since_ns < patience_ns;
}

static int weight_of_look(const pi_kill_tree *tree) {
    return tree->missed_some ? PARTIAL_LOOK : WHOLE_LOOK;
}

/*
 * Looks at /proc in a row that find nobody whom we had to seize ourselves show that all are traced:
 * whom a look misses, because he came and went between its reads, leaves an orphan to the root. But
 * they count only when all have stopped once: a fork that began before is nobody's yet. Where one
 * can't be traced that is never shown, and what it forks goes on being new.
 */
void pi_kill_follow_all(pi_kill_tree *tree) {
    hold_course course = begin_course();
    int quiet = 0;
    tree->phase = PI_KILL_FOLLOWING;
    tree->has_begun = true;
    pi_kill_want_reaper(tree);
    while (quiet < QUIET && !pi_helper_must_stop(tree->helper)) {
        if (is_time_up(&course))
            return;
        if (tree->wants_reaper)
            pi_kill_adopt(tree);
        tree->found_untraced = false;
        bool held = are_held(tree, true);
        note_pass(&course, held);
        held = held && !(has_sleepers(tree) && is_patient(&course));
        if (held && has_refused(tree))
            return;
        if (held)
            pi_kill_look_again(tree);
        quiet = held && !tree->found_untraced ? quiet + weight_of_look(tree) : 0;
        pi_kill_wait(tree, held ? 0 : STEP_NS);
    }
    tree->all_are_traced = tree->has_reaper && !has_untraced(tree);
}

/* Tells those to stop that have only been followed. */
static void interrupt_all(pi_kill_tree *tree) {
    tree->phase = PI_KILL_HOLDING;
    for (uint32_t i = tree->live_count; i-- > 0;)
        pi_kill_interrupt(tree, pi_kill_live_member(tree, i));
}

void pi_kill_hold_all(pi_kill_tree *tree) {
    hold_course course = begin_course();
    bool had_news = true;
    int quiet = 0;
    tree->has_begun = true;
    if (!tree->events_are_sure)
        pi_kill_want_reaper(tree);
    interrupt_all(tree);
    while (quiet < QUIET && !pi_helper_must_stop(tree->helper)) {
        if (is_time_up(&course))
            break;
        if (tree->wants_reaper)
            pi_kill_adopt(tree);
        bool held = are_held(tree, !had_news);
        note_pass(&course, held);
        had_news = pi_kill_wait(tree, held ? 0 : STEP_NS);
        if (tree->wants_reaper && is_patient(&course)) {
            quiet = 0;
            continue;
        }
        /* Those that can't be traced go on, and make news, until they are killed. */
        if (held && tree->events >= 0 && (!had_news || has_refused(tree)))
            return;
        if (!held || had_news)
            quiet = 0;
        else
            quiet = pi_kill_look_again(tree) ? 0 : quiet + weight_of_look(tree);
    }
    tree->all_are_traced = quiet >= QUIET && tree->has_reaper && !has_untraced(tree);
}

static bool has_running(pi_kill_tree *tree) {
    bool found = false;
    for (uint32_t i = tree->live_count; i-- > 0;) {
        pi_kill_member *member = pi_kill_live_member(tree, i);
        pi_kill_look_closer(tree, member);
        found = found || member->running_threads != 0;
    }
    return found;
}

/* Who is let go of before he stands may find the call interrupted that he was in: only those that
 * sleep in the kernel, where nothing interrupts them, aren't waited for. */
void pi_kill_release_all(pi_kill_tree *tree) {
    uint64_t begin = raw_now_ns(), passed_ns;
    interrupt_all(tree);
    pi_kill_undo_adoption(tree);
    do {
        pi_kill_wait(tree, STEP_NS);
        for (uint32_t i = tree->live_count; i-- > 0;)
            pi_kill_detach(tree, pi_kill_live_member(tree, i));
        passed_ns = raw_now_ns() - begin;
    } while (tree->has_tracees && passed_ns < (has_running(tree) ? release_limit_ns : patience_ns));
    pi_kill_continue_stopped(tree);
}
