# The probe guest: one boot sector, started by the firmware from the first disk. Its machine code is in probe-guest.ts:
#   as -o probe.o probe-guest.s && ld -Ttext 0x7c00 --oformat binary -o probe.bin probe.o && xxd -p probe.bin
# An idle real-mode loop would prove little: there are machines whose /dev/kvm runs firmware well and long mode a
# hundred times slower than an emulator, so that Linux seems to hang while it unpacks itself.
.code16
.globl _start
_start:
    cli
    xor  %ax, %ax
    mov  %ax, %ds
    mov  %ax, %es
    mov  %ax, %ss
    mov  $0x7c00, %sp
    mov  $begun, %si
    call print
    # 1. A timer interrupt wakes a halted processor, twice.
    sti
    hlt
    hlt
    cli
    # 2. Page tables at 0x1000: the first GiB, identical, in pages of 2 MiB.
    mov  $0x1000, %edi
    mov  %edi, %cr3
    xor  %eax, %eax
    mov  $3072, %ecx
    cld
    rep  stosl
    movl $0x2003, 0x1000
    movl $0x3003, 0x2000
    mov  $0x3000, %edi
    mov  $0x83, %eax
    mov  $512, %ecx
1:  mov  %eax, (%di)
    add  $0x200000, %eax
    add  $8, %di
    loop 1b
    # 3. Long mode.
    mov  %cr4, %eax
    or   $0x20, %eax
    mov  %eax, %cr4
    mov  $0xc0000080, %ecx
    rdmsr
    or   $0x100, %eax
    wrmsr
    mov  %cr0, %eax
    or   $0x80000001, %eax
    mov  %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $long_mode

print:
    mov  $0x3f8, %dx
1:  lodsb
    test %al, %al
    jz   2f
    out  %al, %dx
    jmp  1b
2:  ret

.code64
long_mode:
    xor  %eax, %eax
    mov  %eax, %ds
    mov  %eax, %es
    mov  %eax, %ss
    # 4. Work as a kernel that unpacks itself does: 8 MiB of scattered reads and writes, new page tables now and then.
    mov  $0x12345678, %eax
    mov  $8, %ebp
1:  mov  $0x200000, %ecx
2:  imul $1664525, %eax, %eax
    add  $1013904223, %eax
    mov  %eax, %ebx
    shr  $11, %ebx
    and  $0x7ffffc, %ebx
    add  %eax, 0x800000(%rbx)
    dec  %ecx
    jnz  2b
    mov  %cr3, %rbx
    mov  %rbx, %cr3
    dec  %ebp
    jnz  1b
    # 5. Say so, on the serial port and by ending the machine.
    mov  $done, %esi
    mov  $0x3f8, %edx
1:  lodsb
    test %al, %al
    jz   2f
    out  %al, %dx
    jmp  1b
2:  mov  $0x501, %edx
    mov  $0x21, %al
    out  %al, %dx
3:  hlt
    jmp  3b

.align 8
gdt:
    .quad 0
    .quad 0x00209a0000000000
gdt_pointer:
    .word . - gdt - 1
    .long gdt
begun: .asciz "bothy probe begun\n"
done:  .asciz "bothy probe done\n"
.org 510
.word 0xaa55
