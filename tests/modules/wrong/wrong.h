/* SPDX-License-Identifier: GPL-2.0 */
/* wrong_pci.c */
void wrong_dma_pending(void);
void wrong_dma_unmapped(void);
/* wrong_rust.rs */
void wrong_rust_use_after_free(void);
void wrong_rust_assertion(void);
