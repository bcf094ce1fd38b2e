// SPDX-License-Identifier: GPL-2.0-only
/* Threads of a process (server.c): how they live, choose jobs, and wait. */

#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>
#include <uapi/linux/sched/types.h>

#include "server.h"

/* largest number of threads of a process */
#define SVAN_THREADS_MAX	64
/* largest number of threads of a process that follow advice at the same time */
#define SVAN_ADVISERS_MAX	4
/* time without a job after which a thread ends, if there are more than the minimum */
#define SVAN_THREAD_IDLE	HZ
/* time slice in ns; a short one lets a thread run soon after it is woken */
#define SVAN_THREAD_SLICE	(100 * NSEC_PER_USEC)
/* time between two attempts to make a thread, when one has failed */
#define SVAN_THREAD_RETRY	(HZ / 10)

static struct workqueue_struct *svan_reap_wq;
static atomic_t svan_threads;
static DECLARE_WAIT_QUEUE_HEAD(svan_threads_gone);

/* ---- a thread's life ---- */

/* Free a thread that has ended. vhost_task_stop() waits until its task has exited. */
static void svan_thread_reap(struct work_struct *work)
{
	struct svan_thread *thread = container_of(work, struct svan_thread,
						  reap);

	vhost_task_stop(thread->vtask);
	if (thread->module)
		module_put(THIS_MODULE);
	svan_server_unref(thread->server);
	kfree(thread);
	if (atomic_dec_and_test(&svan_threads))
		wake_up(&svan_threads_gone);
}

static void svan_thread_end(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;

	lockdep_assert_held(&server->lock);
	if (thread->ended)
		return;
	thread->ended = true;
	list_del(&thread->entry);
	server->count--;
	queue_work(svan_reap_wq, &thread->reap);
}

/* The process is dying, or it calls exec(). */
static void svan_thread_killed(void *data)
{
	struct svan_thread *thread = data;
	struct svan_server *server = thread->server;

	svan_server_stop(server);
	spin_lock_bh(&server->lock);
	svan_thread_end(thread);
	spin_unlock_bh(&server->lock);
}

static bool svan_thread_run(void *data);

/* Make a thread of @server in the thread group of the caller. */
int svan_thread_create(struct svan_server *server)
{
	struct svan_thread *thread;
	struct vhost_task *vtask;

	thread = kzalloc(sizeof(*thread), GFP_KERNEL_ACCOUNT);
	if (!thread)
		return -ENOMEM;
	INIT_LIST_HEAD(&thread->idle);
	INIT_WORK(&thread->reap, svan_thread_reap);
	thread->server = server;
	vtask = vhost_task_create(svan_thread_run, svan_thread_killed, thread,
				  "svan_fault");
	if (IS_ERR(vtask)) {
		kfree(thread);
		return PTR_ERR(vtask);
	}

	thread->vtask = vtask;
	kref_get(&server->ref);
	atomic_inc(&svan_threads);
	spin_lock_bh(&server->lock);
	list_add(&thread->entry, &server->threads);
	server->count++;
	spin_unlock_bh(&server->lock);
	vhost_task_start(vtask);
	return 0;
}

/* ---- choosing a job; svan_server.lock is held ---- */

/* May one more thread wait? One thread has to remain that does not. */
static bool svan_server_may_wait(const struct svan_server *server)
{
	return server->count - server->waiting > 1;
}

/* Is there a job that a thread could take if it was allowed to wait? */
static bool svan_server_has_waits(const struct svan_server *server)
{
	return !list_empty(&server->queues[SVAN_QUEUE_WAIT]) ||
	       (!list_empty(&server->queues[SVAN_QUEUE_ADVICE]) &&
		server->advisers < SVAN_ADVISERS_MAX);
}

static bool svan_server_needs_thread(const struct svan_server *server)
{
	return svan_server_has_waits(server) &&
	       !svan_server_may_wait(server) &&
	       server->count < SVAN_THREADS_MAX;
}

static struct svan_job *svan_server_pop(struct svan_server *server,
					enum svan_queue queue)
{
	struct svan_job *job;

	job = list_first_entry_or_null(&server->queues[queue], struct svan_job,
				       entry);
	if (job)
		list_del(&job->entry);
	return job;
}

static struct svan_job *svan_server_next(struct svan_server *server,
					 struct svan_thread *thread)
{
	struct svan_job *job;

	job = svan_server_pop(server, SVAN_QUEUE_QUICK);
	if (job || !svan_server_may_wait(server))
		return job;

	job = svan_server_pop(server, SVAN_QUEUE_WAIT);
	if (!job && server->advisers < SVAN_ADVISERS_MAX) {
		job = svan_server_pop(server, SVAN_QUEUE_ADVICE);
		thread->advises = job;
		server->advisers += thread->advises;
	}
	thread->waits = job;
	server->waiting += thread->waits;
	return job;
}

/* ---- waiting ---- */

/**
 * svan_thread_lend - let the job be taken away while the thread may wait for long
 * @thread: the calling thread
 * @job: its job, which it does not touch until svan_thread_reclaim()
 *
 * Return: false if nobody wants the job any more; it is not lent then.
 */
bool svan_thread_lend(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_server *server = thread->server;
	bool lent;

	spin_lock_bh(&server->lock);
	lent = !server->gone && job->ops->wanted(job);
	if (lent)
		thread->job = job;
	spin_unlock_bh(&server->lock);
	return lent;
}

/* Return false if the job has been taken away and failed: it must not be touched. */
bool svan_thread_reclaim(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;
	bool ours;

	spin_lock_bh(&server->lock);
	ours = thread->job;
	thread->job = NULL;
	spin_unlock_bh(&server->lock);
	return ours;
}

/* Is the job that was lent still this thread's? */
bool svan_thread_is_lent(const struct svan_thread *thread)
{
	return READ_ONCE(thread->job);
}

struct svan_pins *svan_thread_pins(struct svan_thread *thread)
{
	return &thread->server->pins;
}

/* ---- turns of a thread ---- */

/* Put a job back into a queue, to be continued later. */
static void svan_server_put_back(struct svan_server *server,
				 struct svan_job *job, enum svan_queue queue)
{
	bool gone;

	spin_lock_bh(&server->lock);
	gone = server->gone || !job->ops->wanted(job);
	if (!gone)
		list_add_tail(&job->entry, &server->queues[queue]);
	spin_unlock_bh(&server->lock);
	if (gone)
		job->ops->fail(job);
}

/* The job has to wait. If this thread may not, leave the job to another one. */
static bool svan_thread_may_wait(struct svan_thread *thread,
				 struct svan_job *job)
{
	struct svan_server *server = thread->server;

	spin_lock_bh(&server->lock);
	thread->waits = svan_server_may_wait(server);
	server->waiting += thread->waits;
	spin_unlock_bh(&server->lock);
	if (!thread->waits)
		svan_server_put_back(server, job, SVAN_QUEUE_WAIT);
	return thread->waits;
}

static void svan_thread_serve(struct svan_thread *thread, struct svan_job *job)
{
	enum svan_queue queue = thread->advises ? SVAN_QUEUE_ADVICE :
						  SVAN_QUEUE_WAIT;

	/* A job that was expected not to wait may have to wait after all. */
	if (!thread->waits && (job->ops->quick(thread, job) ||
			       !svan_thread_may_wait(thread, job)))
		return;
	if (!job->ops->serve(thread, job))
		svan_server_put_back(thread->server, job, queue);
}

/* Do a job; the thread is counted in server->waiting if the job may wait. */
static void svan_thread_do(struct svan_thread *thread, struct svan_job *job)
{
	struct svan_server *server = thread->server;

	if (try_module_get(THIS_MODULE)) {
		svan_thread_serve(thread, job);
		module_put(THIS_MODULE);
	} else {
		job->ops->fail(job);
	}
	if (!thread->waits)
		return;

	spin_lock_bh(&server->lock);
	server->waiting--;
	server->advisers -= thread->advises;
	thread->waits = false;
	thread->advises = false;
	spin_unlock_bh(&server->lock);
}

/* All other threads wait, so make another one, which may wait, too. */
static void svan_thread_multiply(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;

	if (!svan_thread_create(server) || signal_pending(current))
		return;
	spin_lock_bh(&server->lock);
	server->retry = jiffies + SVAN_THREAD_RETRY;
	spin_unlock_bh(&server->lock);
}

/* Sleep until there is a job. Releases server->lock. Return false if the thread ends. */
static bool svan_thread_sleep(struct svan_thread *thread)
	__releases(&thread->server->lock)
{
	struct svan_server *server = thread->server;
	long timeout = MAX_SCHEDULE_TIMEOUT;
	bool many = server->count > SVAN_THREADS_MIN;

	if (svan_server_needs_thread(server))
		timeout = SVAN_THREAD_RETRY;
	else if (many)
		timeout = SVAN_THREAD_IDLE;
	list_add(&thread->idle, &server->idle);
	set_current_state(TASK_INTERRUPTIBLE);
	spin_unlock_bh(&server->lock);
	timeout = schedule_timeout(timeout);

	spin_lock_bh(&server->lock);
	if (many && !timeout && !list_empty(&thread->idle) &&
	    server->count > SVAN_THREADS_MIN && svan_server_may_wait(server) &&
	    !svan_server_has_waits(server))
		svan_thread_end(thread);
	list_del_init(&thread->idle);
	spin_unlock_bh(&server->lock);
	return !thread->ended;
}

/* Do one job, or sleep until there is one. Return false if the thread ends. */
static bool svan_thread_turn(struct svan_thread *thread)
{
	struct svan_server *server = thread->server;
	struct svan_job *job;

	spin_lock_bh(&server->lock);
	thread->task = current;
	if (server->gone) {
		svan_thread_end(thread);
		spin_unlock_bh(&server->lock);
		return false;
	}
	job = svan_server_next(server, thread);
	if (!job && (!svan_server_needs_thread(server) ||
		     time_before(jiffies, server->retry)))
		return svan_thread_sleep(thread);
	spin_unlock_bh(&server->lock);
	if (job)
		svan_thread_do(thread, job);
	else
		svan_thread_multiply(thread);
	return true;
}

/*
 * Any thread may ask for shorter slices, so this favours nobody. Threads of other
 * scheduling policies are left as they are.
 */
static void svan_thread_want_short_slices(void)
{
	struct sched_attr attr = {
		.sched_policy = SCHED_NORMAL,
		.sched_nice = task_nice(current),
		.sched_runtime = SVAN_THREAD_SLICE,
	};

	if (current->policy == SCHED_NORMAL)
		sched_setattr_nocheck(current, &attr);
}

/*
 * vhost_task calls this function in a loop, with the state of the task set to sleep.
 * Between the calls it handles signals, which is when the thread stops or freezes.
 */
static bool svan_thread_run(void *data)
{
	struct svan_thread *thread = data;

	if (thread->ended)
		return false;
	__set_current_state(TASK_RUNNING);
	if (!thread->task)
		svan_thread_want_short_slices();
	if (thread->module)
		module_put(THIS_MODULE);
	thread->module = false;
	while (!signal_pending(current))
		if (!svan_thread_turn(thread))
			return false;
	thread->module = try_module_get(THIS_MODULE);
	return true;
}

/* ---- the module ---- */

int svan_servers_init(void)
{
	svan_reap_wq = alloc_workqueue("svan_reap", WQ_UNBOUND, 0);
	return svan_reap_wq ? 0 : -ENOMEM;
}

/*
 * Wait for the last threads to be freed. There is no device, and no thread holds a
 * reference to the module, so all of them are about to end.
 */
void svan_servers_exit(void)
{
	wait_event(svan_threads_gone, !atomic_read(&svan_threads));
	destroy_workqueue(svan_reap_wq);
}
