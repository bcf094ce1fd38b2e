/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A plugin of QEMU: how many instructions have all CPUs executed when a program in the guest
 * comes to a mark? A mark is an instruction that does nothing (MARK in peer.c).
 *
 *   -plugin FILE,out=FILE    lines "mark instructions"
 *
 * Counted by blocks: one that an exception or an interrupt leaves early counts in full.
 */
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <qemu-plugin.h>

#define MARK_LENGTH	8u

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static qemu_plugin_u64 executed;
static FILE *out;

static void marked(unsigned int vcpu, void *mark)
{
	fprintf(out, "%u %" PRIu64 "\n", GPOINTER_TO_UINT(mark),
		qemu_plugin_u64_sum(executed));
	fflush(out);
}

/* The number of a mark, or 0. */
static unsigned int mark_of(const struct qemu_plugin_insn *insn)
{
	static const guint8 mark[] = { 0x0f, 0x1f, 0x84, 0x00 };
	guint8 octets[MARK_LENGTH];

	if (qemu_plugin_insn_size(insn) != MARK_LENGTH ||
	    qemu_plugin_insn_data(insn, octets, MARK_LENGTH) != MARK_LENGTH ||
	    memcmp(octets, mark, sizeof(mark)) || octets[6] != 0xfe || octets[7] != 0x5a)
		return 0;
	return octets[4] | octets[5] << 8;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t i, count = qemu_plugin_tb_n_insns(tb);

	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
							  executed, count);
	for (i = 0; i < count; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned int mark = mark_of(insn);

		if (mark)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, marked,
							       QEMU_PLUGIN_CB_NO_REGS,
							       GUINT_TO_POINTER(mark));
	}
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info,
					   int argc, char **argv)
{
	if (argc != 1 || !g_str_has_prefix(argv[0], "out=")) {
		fputs("insns: what is needed is out=FILE\n", stderr);
		return -1;
	}
	out = fopen(argv[0] + strlen("out="), "w");
	if (!out) {
		perror(argv[0]);
		return -1;
	}
	executed = qemu_plugin_scoreboard_u64(qemu_plugin_scoreboard_new(sizeof(guint64)));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
