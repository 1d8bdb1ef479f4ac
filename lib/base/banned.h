/*
 * banned: functions that this project does not use, with what to use.
 * Included last in every .c file of lib/, cmd/ and drivers/.
 */
#ifndef FORGE_BASE_BANNED_H
#define FORGE_BASE_BANNED_H

#define BANNED(f) sorry_##f##_is_a_banned_function

#undef strcpy /* xstrdup, buf_adds */
#define strcpy(x, y) BANNED(strcpy)
#undef strcat /* buf_adds */
#define strcat(x, y) BANNED(strcat)
#undef strncpy /* xstrndup */
#define strncpy(x, y, n) BANNED(strncpy)
#undef strncat
#define strncat(x, y, n) BANNED(strncat)
#undef sprintf /* snprintf, buf_addf */
#define sprintf(...) BANNED(sprintf)
#undef vsprintf
#define vsprintf(...) BANNED(vsprintf)
#undef strtok /* argv_split, strsep */
#define strtok(x, y) BANNED(strtok)
#undef gmtime /* clock_format */
#define gmtime(t) BANNED(gmtime)
#undef localtime
#define localtime(t) BANNED(localtime)
#undef ctime
#define ctime(t) BANNED(ctime)
#undef asctime
#define asctime(t) BANNED(asctime)
#undef mktemp /* fs_replace */
#define mktemp(x) BANNED(mktemp)
#undef tmpnam
#define tmpnam(x) BANNED(tmpnam)
#undef atoi /* parse_int */
#define atoi(x) BANNED(atoi)
#undef atol
#define atol(x) BANNED(atol)
#undef system /* proc_run */
#define system(x) BANNED(system)
#undef popen
#define popen(x, y) BANNED(popen)
#undef signal /* sigaction, signalfd */
#define signal(x, y) BANNED(signal)

#endif
