// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unserved.h"

/* ---- memory of a userfaultfd that nobody serves ---- */

#define QUIET_MS	300
#define OTHERS		(8u << 20)	/* new memory of others */

int unserved_map(struct unserved *unserved, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = length,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	unserved->length = length;
	unserved->map = mmap(NULL, length, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unserved->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
					       UFFD_USER_MODE_ONLY);
	reg.range.start = (uintptr_t)unserved->map;
	if (unserved->map != MAP_FAILED && unserved->fd >= 0 &&
	    !ioctl(unserved->fd, UFFDIO_API, &api) &&
	    !ioctl(unserved->fd, UFFDIO_REGISTER, &reg))
		return 0;
	complain("a userfaultfd: %m");
	return -errno;
}

int unserved_await(struct unserved *unserved)
{
	struct pollfd pfd = { .fd = unserved->fd, .events = POLLIN };
	struct uffd_msg msg;
	int count = 0;

	while (poll(&pfd, 1, count ? QUIET_MS : WAIT_MS) > 0)
		while (read(unserved->fd, &msg, sizeof(msg)) == sizeof(msg))
			count++;
	if (count)
		return count;
	complain("nobody waits for the userfaultfd");
	return -ETIMEDOUT;
}

int unserved_serve(struct unserved *unserved)
{
	struct uffdio_range range = {
		.start = (uintptr_t)unserved->map,
		.len = unserved->length,
	};

	return ioctl(unserved->fd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
}

void unserved_unmap(struct unserved *unserved)
{
	close(unserved->fd);
	munmap(unserved->map, unserved->length);
}

/* ---- a file of a file system that answers no read ---- */

struct answer {
	struct fuse_out_header head;
	union {
		struct fuse_init_out init;
		struct fuse_attr_out attr;
		struct fuse_open_out open;
	};
};

/* What a file system has to say to be opened and mapped; 0: nothing. */
static size_t stuck_answer(struct stuck *stuck,
			   const struct fuse_in_header *in,
			   struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->head.unique = in->unique;
	answer->head.len = sizeof(answer->head);
	switch (in->opcode) {
	case FUSE_INIT:
		answer->init.major = FUSE_KERNEL_VERSION;
		answer->init.minor = 31;
		answer->init.max_write = 65536;
		answer->init.max_background = 64;
		answer->head.len += sizeof(answer->init);
		break;
	case FUSE_GETATTR:
		answer->attr.attr_valid = 3600;
		answer->attr.attr.ino = 1;
		answer->attr.attr.size = stuck->length;
		answer->attr.attr.mode = S_IFREG | 0644;
		answer->attr.attr.nlink = 1;
		answer->attr.attr.blksize = PAGE;
		answer->head.len += sizeof(answer->attr);
		break;
	case FUSE_OPEN:
		answer->head.len += sizeof(answer->open);
		break;
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;
	default:
		answer->head.error = -ENOSYS;
	}
	return answer->head.len;
}

/* Is it a read that is answered? It is, with zeroes. */
static bool stuck_serve(const struct stuck *stuck,
			const struct fuse_in_header *in)
{
	const struct fuse_read_in *what = (const void *)(in + 1);
	struct {
		struct fuse_out_header head;
		uint8_t data[PAGE];
	} answer = { .head.unique = in->unique };

	if (in->opcode != FUSE_READ || what->size > PAGE ||
	    what->offset + what->size > stuck->served)
		return false;
	answer.head.len = sizeof(answer.head) + what->size;
	if (write(stuck->dev, &answer, answer.head.len) < 0)
		complain("answering a FUSE read: %m");
	return true;
}

static void *stuck_main(void *arg)
{
	static __thread char buffer[1u << 18];
	struct fuse_in_header *in = (void *)buffer;
	struct stuck *stuck = arg;
	struct answer answer;
	ssize_t length;
	size_t size;

	for (;;) {
		length = read(stuck->dev, buffer, sizeof(buffer));
		if (length < 0 && (errno == EINTR || errno == ENOENT))
			continue;
		if (length < (ssize_t)sizeof(*in))
			return NULL;
		if (stuck_serve(stuck, in))
			continue;
		if ((in->opcode == FUSE_READ || in->opcode == FUSE_WRITE) &&
		    write(stuck->asked[1], "x", 1) != 1)
			return NULL;
		size = stuck_answer(stuck, in, &answer);
		if (size && write(stuck->dev, &answer, size) < 0 &&
		    errno != ENOENT)
			return NULL;
	}
}

static void *idle_main(void *arg)
{
	for (;;)
		pause();
	return NULL;
}

/*
 * The first pthread_cancel() maps a library. That must not come when whoever waits
 * for the file system keeps the process from mapping anything.
 */
static int learn_to_cancel(void)
{
	pthread_t thread;
	int ret;

	ret = pthread_create(&thread, NULL, idle_main, NULL);
	if (ret)
		return -ret;
	pthread_cancel(thread);
	return -pthread_join(thread, NULL);
}

static int stuck_mount(struct stuck *stuck)
{
	char options[128];
	int fd;

	strcpy(stuck->path, "/tmp/svan-stuck-XXXXXX");
	fd = mkstemp(stuck->path);
	if (fd < 0)
		return -errno;
	close(fd);
	stuck->dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (stuck->dev < 0) {
		unlink(stuck->path);
		return -ENOENT;
	}
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=100644,user_id=0,group_id=0", stuck->dev);
	if (pipe2(stuck->asked, O_NONBLOCK | O_CLOEXEC) ||
	    mount("stuck", stuck->path, "fuse", MS_NOSUID | MS_NODEV, options)) {
		complain("mounting a FUSE file: %m");
		return -errno;
	}
	return -pthread_create(&stuck->thread, NULL, stuck_main, stuck);
}

int stuck_map(struct stuck *stuck, size_t length)
{
	struct stat st;
	int fd, ret;

	memset(stuck, 0, sizeof(*stuck));
	stuck->length = length;
	ret = learn_to_cancel();
	if (!ret)
		ret = stuck_mount(stuck);
	if (ret)
		return ret;
	fd = open(stuck->path, O_RDWR | O_CLOEXEC);
	/* the kernel learns how long it is */
	if (fd < 0 || fstat(fd, &st) || st.st_size != length) {
		complain("opening a FUSE file: %m");
		return -errno;
	}
	/* only the mapping is left of it: it goes with us */
	umount2(stuck->path, MNT_DETACH);
	unlink(stuck->path);
	stuck->map = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED,
			  fd, 0);
	if (stuck->map == MAP_FAILED) {
		complain("mapping a FUSE file: %m");
		return -errno;
	}
	/* while there is somebody to answer: exit would wait for it */
	close(fd);
	return 0;
}

int stuck_await(struct stuck *stuck)
{
	struct pollfd pfd = { .fd = stuck->asked[0], .events = POLLIN };
	char octets[64];

	while (poll(&pfd, 1, stuck->was_asked ? QUIET_MS : WAIT_MS) == 1)
		if (read(pfd.fd, octets, sizeof(octets)) > 0)
			stuck->was_asked = true;
	if (stuck->was_asked)
		return 0;
	complain("nobody waits for the file system");
	return -ETIMEDOUT;
}

void stuck_unmap(struct stuck *stuck)
{
	/* the thread's read ends when the last descriptor is closed */
	pthread_cancel(stuck->thread);
	pthread_join(stuck->thread, NULL);
	close(stuck->dev);
	munmap(stuck->map, stuck->length);
	close(stuck->asked[0]);
	close(stuck->asked[1]);
}

/* ---- many requests of one process ---- */

int crowd_open(struct crowd *crowd, enum which from, enum which to,
	       unsigned int count)
{
	struct ep_opts opts = ep_defaults;
	unsigned int i, side;

	memset(crowd, 0, sizeof(*crowd));
	crowd->count = count;
	opts.max_send_wr = 1;
	opts.max_recv_wr = 1;
	for (side = 0; side < 2; side++) {
		crowd->ep[side] = calloc(count, sizeof(struct ep));
		if (!crowd->ep[side] ||
		    node_open(&crowd->node[side], side ? to : from))
			return -ENODEV;
		crowd->cq[side] = ibv_create_cq(crowd->node[side].ctx,
						count + 1, NULL, NULL, 0);
		if (!crowd->cq[side])
			return -errno;
		opts.cq = crowd->cq[side];
		for (i = 0; i < count; i++)
			if (ep_create(&crowd->ep[side][i], &crowd->node[side],
				      &opts))
				return -ENOMEM;
	}
	for (i = 0; i < count; i++)
		if (connect_eps(&crowd->ep[0][i], &crowd->ep[1][i],
				&conn_defaults))
			return -EIO;
	return area_alloc(&crowd->out, crowd->node[0].pd, PAGE, ACCESS_ALL);
}

int crowd_post(struct crowd *crowd, struct ibv_mr *mr, uint8_t *map,
	       size_t stride)
{
	struct ibv_sge sge = area_sge(&crowd->out, 0, 64);
	unsigned int i;
	int ret;

	for (i = 0; i < crowd->count; i++) {
		struct ibv_send_wr wr = {
			.sg_list = &sge,
			.num_sge = 1,
			.opcode = IBV_WR_RDMA_WRITE,
			.send_flags = IBV_SEND_SIGNALED,
			.wr.rdma.remote_addr = (uintptr_t)map + i * stride,
			.wr.rdma.rkey = mr->rkey,
		};

		ret = ep_post_send(&crowd->ep[0][i], &wr);
		if (ret)
			return -ret;
	}
	return 0;
}

int crowd_drain(struct crowd *crowd)
{
	struct ibv_wc wc;
	unsigned int i;
	int ret;

	for (i = 0; i < crowd->count; i++) {
		ret = ep_wait(&crowd->ep[0][0], &wc, PATIENCE_MS);
		if (ret) {
			complain("%u of %u have ended", i, crowd->count);
			return ret;
		}
	}
	return 0;
}

void crowd_close(struct crowd *crowd)
{
	unsigned int i, side;

	for (side = 0; side < 2; side++) {
		for (i = 0; i < crowd->count; i++)
			ep_destroy(&crowd->ep[side][i]);
		ibv_destroy_cq(crowd->cq[side]);
		free(crowd->ep[side]);
	}
	area_free(&crowd->out);
	for (side = 0; side < 2; side++)
		node_close(&crowd->node[side]);
}

/* ---- first touches beside it ---- */

static int touch_once(struct crowd *crowd, struct ibv_mr *all, bool explicit)
{
	struct ibv_wc wc;
	struct mem mem;
	struct ibv_mr *mr = all;
	uint64_t start;
	int ret;

	ret = mem_map(&mem, MEM_ANON, PAGE);
	if (ret)
		return ret;
	if (explicit)
		mr = demand_reg(crowd->node[1].pd, mem.map, PAGE, ACCESS_ALL);
	if (!mr)
		return -errno;
	start = now_ms();
	ret = crowd_post(crowd, mr, mem.map, PAGE);
	if (!ret)
		ret = ep_wait(&crowd->ep[0][0], &wc, 10 * PROMPT_MS);
	if (!ret && wc.status)
		ret = -EIO;
	if (!ret && now_ms() - start > PROMPT_MS)
		ret = -ETIME;
	if (ret)
		complain("a first touch: %s after %llu ms", strerror(-ret),
			 (unsigned long long)(now_ms() - start));
	if (explicit)
		ibv_dereg_mr(mr);
	mem_unmap(&mem);
	return ret;
}

int touch_fresh(enum which which, unsigned int count)
{
	struct crowd crowd;
	struct ibv_mr *all;
	unsigned int i;
	int ret;

	ret = crowd_open(&crowd, which, which, 1);
	if (ret)
		return ret;
	all = demand_reg(crowd.node[1].pd, NULL, SIZE_MAX, ACCESS_ALL);
	if (!all)
		return -errno;
	for (i = 0; i < count && !ret; i++)
		ret = touch_once(&crowd, all, i % 2);
	ibv_dereg_mr(all);
	crowd_close(&crowd);
	return ret;
}

/* ---- children ---- */

int child_start(struct child *child, void (*body)(void *arg, int fd), void *arg)
{
	int fds[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -errno;
	child->pid = fork();
	if (!child->pid) {
		close(fds[0]);
		body(arg, fds[1]);
		_exit(1);
	}
	close(fds[1]);
	child->fd = fds[0];
	ret = child->pid < 0 ? -errno : child_hear(child->fd);
	if (ret) {
		complain("the child did not come so far");
		child_kill(child);
	}
	return ret;
}

void child_say(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(2);
}

int child_hear(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char octet;

	if (poll(&pfd, 1, PATIENCE_MS) != 1)
		return -ETIMEDOUT;
	return read(fd, &octet, 1) == 1 ? 0 : -EPIPE;
}

int child_kill(struct child *child)
{
	int pidfd = syscall(SYS_pidfd_open, child->pid, 0);
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };
	int ret = 0;

	kill(child->pid, SIGKILL);
	if (poll(&pfd, 1, WAIT_MS) != 1) {
		complain("a killed process does not end");
		ret = -ETIMEDOUT;
	}
	close(pidfd);
	close(child->fd);
	if (!ret && waitpid(child->pid, NULL, 0) != child->pid)
		ret = -errno;
	return ret;
}

/*
 * Memory that is new is zeros, and stays so. It is of small pages, so that it is what
 * somebody else has just given back.
 */
static bool new_memory_is_clean(void)
{
	uint8_t *map = mmap(NULL, OTHERS, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i, looks;

	if (map == MAP_FAILED || madvise(map, OTHERS, MADV_NOHUGEPAGE) ||
	    madvise(map, OTHERS, MADV_POPULATE_WRITE))
		return false;
	for (looks = 0; looks < 2; looks++) {
		for (i = 0; i < OTHERS && !*(volatile uint64_t *)(map + i); i += 8)
			;
		if (i < OTHERS)
			break;
	}
	munmap(map, OTHERS);
	if (looks < 2)
		complain("octet %zu of new memory was stored to", i);
	return looks == 2;
}

int share_a_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {};

	return waitid(P_PID, pid, &info, WEXITED | WNOWAIT | WNOHANG) || info.si_pid;
}

int child_kill_watching(struct child *child)
{
	uint64_t deadline = now_ms() + WAIT_MS;
	bool clean = true;
	int ret;

	kill(child->pid, SIGKILL);
	do {
		clean = clean && new_memory_is_clean();
	} while (!has_ended(child->pid) && now_ms() < deadline);
	clean = clean && new_memory_is_clean();
	ret = child_kill(child);
	return ret ?: clean ? 0 : -EIO;
}

int threads_of(pid_t pid, const char *name)
{
	char path[300], comm[32];
	struct dirent *entry;
	int count = 0;
	FILE *file;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid,
			 entry->d_name);
		file = entry->d_name[0] == '.' ? NULL : fopen(path, "r");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) &&
		    !strncmp(comm, name, strlen(name)))
			count++;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return count;
}
