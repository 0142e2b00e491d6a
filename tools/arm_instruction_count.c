/* A plugin for qemu-user that prints how many guest instructions were executed so far, whenever
 * the guest calls getsid().  Nothing else that a Python program does calls it, so that a program
 * marks with os.getsid(0) where a measurement begins and ends.
 *
 *   gcc -shared -fPIC -O2 -o count.so arm_instruction_count.c
 *   qemu-aarch64 -plugin ./count.so PROGRAM
 *
 * Counts whole blocks and one thread; getsid() ends its block, so that the count is exact there.
 * The declarations are those of QEMU 7.2's qemu-plugin.h, which Debian does not package.
 */
#include <inttypes.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
typedef void (*translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*called)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                       uint64_t, uint64_t, uint64_t, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, translated);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum qemu_plugin_op, void *,
                                              uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, called);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { GETSID = 156 }; /* on aarch64 */

static uint64_t instructions;

static void on_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &instructions,
                                             qemu_plugin_tb_n_insns(block));
}

static void on_call(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b,
                    uint64_t c, uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h)
{
    if (number == GETSID)
        fprintf(stderr, "INSTRUCTIONS %" PRIu64 "\n", instructions);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id,
                                                               const void *info, int argc,
                                                               char **argv)
{
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translated);
    qemu_plugin_register_vcpu_syscall_cb(id, on_call);
    return 0;
}
