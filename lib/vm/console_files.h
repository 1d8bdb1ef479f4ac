/* The names that console.c writes and console_view.c reads. */
#ifndef FORGE_VM_CONSOLE_FILES_H
#define FORGE_VM_CONSOLE_FILES_H

#define CONSOLE_LOG "console.log"
#define CONSOLE_WHEN "console.when"

#endif
