/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What idle cores take, by the resident memory of this process: a world of many
 * machines whose queue pairs are connected and have been used once, two machines
 * with many queue pairs, and a few with all functions. Guest memory and the
 * machines' own bookkeeping are taken off from what belongs to one object, but not
 * from the process. Prints TAP.
 *
 * usage: core_sizes MIB [CORES [QPS]]
 *
 * MIB bounds the process with CORES (1000) cores of QPS (4) queue pairs each. The
 * objects have marks of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "world.h"

#define KIB             1024.0
#define MIB             (1024.0 * 1024)
#define RAM_BYTES       (1u << 20)
#define CQ_LOG          5
#define MESSAGE         64u
#define SETTLE_NS       1000000000ull
#define MACHINES        4u
#define MANY_QPS        1000u
#define MANY_QPS_ROOM   1024u
#define AT_A_TIME       4u

#define CORE_MARK       (64 * KIB)
#define QP_MARK         (1.5 * KIB)
#define DISABLED_MARK   (1 * KIB)
#define ENABLED_MARK    (256 * KIB)

/* Octets of one each, and of the process at its largest. */
typedef struct Sizes {
    double core, qp, disabled, enabled, process, guest;
} Sizes;

typedef struct Machine {
    Host *host;
    HostCq cq;
    HostQp *qps;
} Machine;

/* ---- measuring ---- */

/*
 * Memory of its own, which the kernel counts anew: what it keeps in statm is a guess, and
 * how much of the program itself has been read is not what is measured.
 */
static double resident(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    unsigned long kib = 0;
    char line[128];

    while (file && fgets(line, sizeof(line), file) &&
           sscanf(line, "Anonymous: %lu kB", &kib) != 1) {
    }
    if (!kib) {
        fake_die("/proc/self/smaps_rollup cannot be read");
    }
    fclose(file);
    return (double)kib * KIB;
}

static double guest_memory(const Fake *fake)
{
    static unsigned char there[FAKE_RAM_SIZE / SVAN_PAGE_SIZE];
    uint32_t pages = fake->ram_size / SVAN_PAGE_SIZE, count = 0;

    if (mincore(fake->ram, fake->ram_size, there)) {
        fake_die("it is not known what is resident");
    }
    for (uint32_t i = 0; i < pages; i++) {
        count += there[i] & 1;
    }
    return (double)count * SVAN_PAGE_SIZE;
}

static double all_guest_memory(const World *world)
{
    double sum = 0;

    for (uint32_t i = 0; i < world->model->num_nodes; i++) {
        sum += guest_memory(world->nodes[i].fake);
    }
    return sum;
}

/* Of a machine, beside its core. */
static double bookkeeping(const Fake *fake)
{
    return sizeof(Fake) + sizeof(fake->irqs[0]) +
           fake->ram_size / SVAN_PAGE_SIZE + sizeof(Node) +
           sizeof(Host) + sizeof(Machine);
}

/* ---- many cores ---- */

static const WorldModel simulated_hosts = {
    .ram_bytes = RAM_BYTES,
    .core = {
        .link_mbps = 100000, .true_atomics = true, .max_qp = 64, .max_cq = 64,
        .max_key = 64, .max_rx_frames = 256, .no_icrc = true,
    },
    .link = { .delay = 2000, .ps_per_byte = 80 },
    .engine = { .instant = true, .backlog = 700 },
};

static void make_qps(Machine *machine, uint32_t count)
{
    static const HostQpAttr attr = { .log_sq = 4, .log_rq = 2, .max_sge = 1 };

    machine->qps = fake_must(calloc(count, sizeof(machine->qps[0])));
    machine->cq = host_cq(machine->host, CQ_LOG);
    for (uint32_t i = 0; i < count; i++) {
        machine->qps[i] = host_qp(machine->host, &machine->cq, &machine->cq,
                                  &attr);
    }
}

/* The first half of each machine's with the second half of the next one's. */
static void connect_all(Machine *machines, uint32_t cores, uint32_t qps)
{
    for (uint32_t i = 0; i < cores; i++) {
        for (uint32_t k = 0; k < qps / 2; k++) {
            host_connect(&machines[i].qps[k],
                         &machines[(i + 1) % cores].qps[qps / 2 + k]);
        }
    }
}

/*
 * Queue pairs [first, end) of each machine write to their peers, so that they are
 * known to work.
 */
static void use(World *world, Machine *machines, uint32_t qps, uint32_t first,
                uint32_t end)
{
    uint32_t cores = world->model->num_nodes;
    struct svan_cqe cqe;

    for (uint32_t i = 0; i < cores; i++) {
        for (uint32_t k = first; k < end; k++) {
            Host *host = machines[i].host;
            uint32_t peer = k < qps / 2 ? i + 1 : i + cores - 1;
            Host *to = machines[peer % cores].host;
            HostSend send = {
                .opcode = SVAN_WQE_RDMA_WRITE, .flags = SVAN_WQE_SIGNALED,
                .addr = host->cmdq, .length = MESSAGE, .remote = to->cmdr,
                .rkey = to->all_key,
            };

            host_send(&machines[i].qps[k], &send);
            host_post(&machines[i].qps[k]);
        }
    }
    world_settle(world);
    world_run(world, world->now + SETTLE_NS);
    for (uint32_t i = 0; i < cores * (end - first); i++) {
        if (!host_cq_poll(&machines[i / (end - first)].cq, &cqe) ||
            cqe.status != SVAN_CQE_SUCCESS) {
            fake_die("a queue pair of machine %u does not work",
                     i / (end - first));
        }
    }
}

static void measure_cores(Sizes *sizes, uint32_t cores, uint32_t qps)
{
    WorldModel model = simulated_hosts;
    Machine *machines = fake_must(calloc(cores, sizeof(machines[0])));
    double before = resident(), first, ram;
    World *world;

    model.num_nodes = cores;
    world = world_create(&model, 1);
    for (uint32_t i = 0; i < cores; i++) {
        machines[i].host = host_create(world->nodes[i].fake, 0, i + 1);
    }
    first = resident();
    ram = all_guest_memory(world);
    sizes->core = (first - before - ram) / cores -
                  bookkeeping(world->nodes[0].fake);
    for (uint32_t i = 0; i < cores; i++) {
        make_qps(&machines[i], qps);
    }
    connect_all(machines, cores, qps);
    use(world, machines, qps, 0, qps);
    sizes->process = resident();
    sizes->guest = all_guest_memory(world);
}

/* ---- many queue pairs ---- */

/*
 * Between two machines. They are used a few at a time, so that what is under way
 * between the machines is not taken for theirs.
 */
static void measure_qps(Sizes *sizes, uint32_t cores, uint32_t qps)
{
    Machine machines[2] = { 0 };
    WorldModel model = simulated_hosts;
    double before, ram;
    World *world;

    model.num_nodes = 2;
    model.ram_bytes = FAKE_RAM_SIZE;
    model.core.max_qp = MANY_QPS_ROOM;
    world = world_create(&model, 1);
    for (uint32_t i = 0; i < 2; i++) {
        machines[i].host = host_create(world->nodes[i].fake, 0, i + 1);
    }
    before = resident();
    ram = all_guest_memory(world);
    make_qps(&machines[0], MANY_QPS);
    make_qps(&machines[1], MANY_QPS);
    connect_all(machines, 2, MANY_QPS);
    for (uint32_t k = 0; k < MANY_QPS; k += AT_A_TIME) {
        use(world, machines, MANY_QPS, k, k + AT_A_TIME);
    }
    sizes->qp = (resident() - before - (all_guest_memory(world) - ram)) /
                (2 * MANY_QPS) - sizeof(HostQp);
}

/* ---- functions ---- */

/* Resident memory of that many more machines, without that of their guests. */
static double machines_take(const SvanConfig *config, Fake **fakes)
{
    double before = resident(), ram = 0;

    for (uint32_t i = 0; i < MACHINES; i++) {
        fakes[i] = fake_create(config);
        ram += guest_memory(fakes[i]);
    }
    return resident() - before - ram;
}

/* By what machines with all functions take more than those with one. */
static void measure_functions(Sizes *sizes, uint32_t cores, uint32_t qps)
{
    SvanConfig config = { .link_mbps = 100000, .true_atomics = true };
    uint32_t vfs = MACHINES * SVAN_MAX_VFS;
    Fake *fakes[MACHINES];
    double before, one, ram = 0;

    machines_take(&config, fakes);
    one = machines_take(&config, fakes);
    config.num_vfs = SVAN_MAX_VFS;
    sizes->disabled = (machines_take(&config, fakes) - one) / vfs -
                      sizeof(fakes[0]->irqs[0]);
    before = resident();
    for (uint32_t i = 0; i < vfs; i++) {
        Fake *fake = fakes[i / SVAN_MAX_VFS];

        ram -= guest_memory(fake);
        host_create(fake, i % SVAN_MAX_VFS + 1, i + 1);
        ram += guest_memory(fake);
    }
    sizes->enabled = sizes->disabled + (resident() - before - ram) / vfs -
                     sizeof(Host);
}

/* ---- all ---- */

typedef void MeasureFn(Sizes *sizes, uint32_t cores, uint32_t qps);

/* In a process of its own, which has freed nothing before. */
static void measure(MeasureFn *fn, Sizes *sizes, uint32_t cores, uint32_t qps)
{
    int status;
    pid_t pid = fork();

    if (pid < 0) {
        fake_die("no process can be made");
    }
    if (!pid) {
        fn(sizes, cores, qps);
        _exit(0);
    }
    if (waitpid(pid, &status, 0) != pid || status) {
        fake_die("a measurement has failed");
    }
}

static bool check(uint32_t number, const char *what, double value, double mark)
{
    double unit = mark < MIB ? KIB : MIB;
    bool good = value <= mark;

    printf("%sok %u - %s: %.2f %s, at most %.2f\n", good ? "" : "not ", number,
           what, value / unit, mark < MIB ? "KiB" : "MiB", mark / unit);
    return good;
}

int main(int argc, char **argv)
{
    uint32_t cores = argc > 2 ? strtoul(argv[2], NULL, 0) : 1000;
    uint32_t qps = argc > 3 ? strtoul(argv[3], NULL, 0) : 4;
    double bound = argc > 1 ? strtod(argv[1], NULL) * MIB : 0;
    Sizes *sizes = mmap(NULL, sizeof(*sizes), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char what[80];
    bool good;

    if (bound <= 0 || cores < 2 || qps < 2 || qps % 2 || sizes == MAP_FAILED) {
        fprintf(stderr, "usage: core_sizes MIB [CORES [QPS]], QPS even\n");
        return 2;
    }
    printf("1..5\n");
    fflush(stdout);
    measure(measure_cores, sizes, cores, qps);
    measure(measure_qps, sizes, cores, qps);
    measure(measure_functions, sizes, cores, qps);
    good = check(1, "an idle core", sizes->core, CORE_MARK);
    good &= check(2, "an idle RC queue pair", sizes->qp, QP_MARK);
    good &= check(3, "a disabled function", sizes->disabled, DISABLED_MARK);
    good &= check(4, "an idle enabled function", sizes->enabled, ENABLED_MARK);
    snprintf(what, sizeof(what), "%u cores of %u queue pairs in one process",
             cores, qps);
    good &= check(5, what, sizes->process, bound);
    printf("# guest memory of all machines: %.2f MiB\n", sizes->guest / MIB);
    return !good;
}
