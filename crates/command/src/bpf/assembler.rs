//! eBPF instructions, put together one by one
//! (Documentation/bpf/standardization/instruction-set.rst).

/// One instruction, as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    code: u8,
    /// The destination and the source, four bits each.
    registers: u8,
    offset: i16,
    immediate: i32,
}

/// A register. R0 has results, R1 to R5 have arguments and are lost in a call, R6 to R9 stay.
#[derive(Clone, Copy)]
pub enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    /// The end of the stack.
    Stack,
}

use Register::{R0, R1};

/// How much is loaded or stored: 8, 16, 32 or 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Byte = 0x10,
    Half = 0x08,
    Word = 0x00,
    Double = 0x18,
}

/// When a jump is taken. Numbers are compared without their signs.
#[derive(Clone, Copy)]
pub enum If {
    Equal = 0x10,
    Above = 0x20,
    /// One of these bits is set.
    Set = 0x40,
    NotEqual = 0x50,
    Below = 0xa0,
}

/// A place in the program that jumps lead to.
#[derive(Clone, Copy)]
pub struct Label(usize);

/// A program that is put together.
#[derive(Default)]
pub struct Assembler {
    instructions: Vec<Instruction>,
    /// Where each label is, once it is known.
    labels: Vec<Option<usize>>,
    /// The jumps, by place, with their labels.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label for a place that comes later.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The label's place is here.
    pub fn place(&mut self, Label(label): Label) {
        self.labels[label] = Some(self.instructions.len());
    }

    /// `to = number`
    pub fn set(&mut self, to: Register, number: i32) {
        self.push(0xb7, to, R0, 0, number);
    }

    /// `to = from`
    pub fn copy(&mut self, to: Register, from: Register) {
        self.push(0xbf, to, from, 0, 0);
    }

    /// `to += number`
    pub fn add(&mut self, to: Register, number: i32) {
        self.push(0x07, to, R0, 0, number);
    }

    /// `to -= from`
    pub fn subtract(&mut self, to: Register, from: Register) {
        self.push(0x1f, to, from, 0, 0);
    }

    /// `to -= from`, 32 bits: as the kernel counts jiffies and time stamps, which wrap around.
    pub fn subtract_32(&mut self, to: Register, from: Register) {
        self.push(0x1c, to, from, 0, 0);
    }

    /// `to += from`
    pub fn add_register(&mut self, to: Register, from: Register) {
        self.push(0x0f, to, from, 0, 0);
    }

    /// `to *= number`
    pub fn multiply(&mut self, to: Register, number: i32) {
        self.push(0x27, to, R0, 0, number);
    }

    /// `to /= number`
    pub fn divide(&mut self, to: Register, number: i32) {
        self.push(0x37, to, R0, 0, number);
    }

    /// `to &= number`
    pub fn and(&mut self, to: Register, number: i32) {
        self.push(0x57, to, R0, 0, number);
    }

    /// `to |= number`
    pub fn or(&mut self, to: Register, number: i32) {
        self.push(0x47, to, R0, 0, number);
    }

    /// `to = *(from + offset)`
    pub fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.push(0x61 | size as u8, to, from, offset, 0);
    }

    /// `*(to + offset) = number`, 32 bits of it.
    pub fn store(&mut self, to: Register, offset: i16, number: i32) {
        self.push(0x62, to, R0, offset, number);
    }

    /// `*(to + offset) = from`, 32 bits of it.
    pub fn store_register(&mut self, to: Register, offset: i16, from: Register) {
        self.push(0x63, to, from, offset, 0);
    }

    /// `*(to + offset) += 1`, 64 bits and atomic. R1 is lost.
    pub fn increment(&mut self, to: Register, offset: i16) {
        self.set(R1, 1);
        self.push(0xdb, to, R1, offset, 0);
    }

    /// `to =` the address of the first value of this array map.
    pub fn map_value(&mut self, to: Register, map: i32) {
        /// BPF_PSEUDO_MAP_VALUE
        const MAP_VALUE: u8 = 2;
        self.push(0x18, to, R0, 0, map);
        if let Some(load) = self.instructions.last_mut() {
            load.registers = registers(to as u8, MAP_VALUE);
        }
        self.push(0, R0, R0, 0, 0);
    }

    /// Goes to the label.
    pub fn jump(&mut self, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(0x05, R0, R0, 0, 0);
    }

    /// Goes to the label if `register` and `number` compare so.
    pub fn jump_if(&mut self, register: Register, is: If, number: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(0x05 | is as u8, register, R0, 0, number);
    }

    /// Goes to the label if two registers compare so.
    pub fn jump_if_register(&mut self, register: Register, is: If, other: Register, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.push(0x0d | is as u8, register, other, 0, 0);
    }

    /// Calls a function of the kernel's, bpf-helpers(7). Its result is in R0.
    pub fn call(&mut self, function: i32) {
        self.push(0x85, R0, R0, 0, function);
    }

    /// Ends the program with this result.
    pub fn exit(&mut self, result: i32) {
        self.set(R0, result);
        self.push(0x95, R0, R0, 0, 0);
    }

    /// The program. A jump to a label that has no place goes nowhere, which the kernel refuses.
    pub fn finish(mut self) -> Vec<Instruction> {
        for (place, Label(label)) in self.jumps {
            let to = self.labels[label].unwrap_or(place);
            self.instructions[place].offset = (to as isize - place as isize - 1) as i16;
        }
        self.instructions
    }

    fn push(&mut self, code: u8, to: Register, from: Register, offset: i16, immediate: i32) {
        let registers = registers(to as u8, from as u8);
        self.instructions.push(Instruction { code, registers, offset, immediate });
    }
}

fn registers(to: u8, from: u8) -> u8 {
    if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from }
}

#[cfg(test)]
mod tests {
    use super::Register::{R2, R6, R8, Stack};
    use super::*;

    /// As llvm-objdump(1) and include/uapi/linux/bpf.h have them.
    #[test]
    fn instructions_are_the_kernel_s() {
        let mut code = Assembler::default();
        code.set(R1, -2);
        code.copy(R6, R1);
        code.add(R2, 4);
        code.subtract(R1, R2);
        code.subtract_32(R1, R2);
        code.add_register(R1, R2);
        code.multiply(R1, 1000);
        code.divide(R1, 250);
        code.and(R1, -64);
        code.or(R1, 21);
        code.load(Size::Byte, R1, R6, 20);
        code.load(Size::Double, R1, R6, 184);
        code.store(Stack, -4, 7);
        code.store_register(R1, 0, R2);
        code.map_value(R8, 5);
        code.call(49);
        code.exit(1);
        let bytes: Vec<_> = code
            .finish()
            .iter()
            .map(|it| (it.code, it.registers, it.offset, it.immediate))
            .collect();
        let expected = [
            (0xb7, 0x01, 0, -2),
            (0xbf, 0x16, 0, 0),
            (0x07, 0x02, 0, 4),
            (0x1f, 0x21, 0, 0),
            (0x1c, 0x21, 0, 0),
            (0x0f, 0x21, 0, 0),
            (0x27, 0x01, 0, 1000),
            (0x37, 0x01, 0, 250),
            (0x57, 0x01, 0, -64),
            (0x47, 0x01, 0, 21),
            (0x71, 0x61, 20, 0),
            (0x79, 0x61, 184, 0),
            (0x62, 0x0a, -4, 7),
            (0x63, 0x21, 0, 0),
            (0x18, 0x28, 0, 5),
            (0x00, 0x00, 0, 0),
            (0x85, 0x00, 0, 49),
            (0xb7, 0x00, 0, 1),
            (0x95, 0x00, 0, 0),
        ];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn jumps_lead_to_their_labels() {
        let mut code = Assembler::default();
        let (begin, end) = (code.label(), code.label());
        code.place(begin);
        code.jump_if(R1, If::Equal, 3, end);
        code.jump_if_register(R1, If::Below, R2, end);
        code.jump(begin);
        code.place(end);
        code.exit(0);
        let jumps: Vec<_> = code.finish().iter().map(|it| (it.code, it.offset)).collect();
        assert_eq!(jumps[..3], [(0x15, 2), (0xad, 1), (0x05, -3)]);
    }
}
