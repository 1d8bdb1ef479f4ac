/*
 * mac: the hardware address of a VM, a function of its name and address, so
 * that nothing has to remember it.
 */
#ifndef FORGE_VM_MAC_H
#define FORGE_VM_MAC_H

#include <stdint.h>

/* "02:" and the first five bytes of SHA-1("NAME|A.B.C.D"). */
void mac_of(const char *name, uint32_t address, char ret[18]);

#endif
