/* A library that no plugin may need. */
__attribute__((visibility("default"))) int foreign(void);
int foreign(void) { return 7; }
