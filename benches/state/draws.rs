//! Draws items at given odds in constant time, by Vose's alias method.

/// A distribution over the items from 0.
pub struct Draws {
    /// Of each slot: the greatest draw for which it is the item itself, and the item that it is otherwise.
    slots: Vec<(u32, u32)>,
}

impl Draws {
    /// Over as many items as there are odds, which need not add up to anything.
    pub fn new(odds: impl Iterator<Item = f64> + Clone) -> Self {
        let (items, sum) = (odds.clone().count(), odds.clone().sum::<f64>());
        let mut share: Vec<f64> = odds.map(|odds| items as f64 * odds / sum).collect();
        let mut slots = vec![(u32::MAX, 0); items];
        let (mut small, mut great): (Vec<usize>, Vec<usize>) =
            (0..items).partition(|item| share[*item] < 1.0);
        while let (Some(less), Some(more)) = (small.pop(), great.last().copied()) {
            slots[less] = ((share[less] * f64::from(u32::MAX)) as u32, more as u32);
            share[more] -= 1.0 - share[less];
            if share[more] < 1.0 {
                small.extend(great.pop());
            }
        }
        Draws { slots }
    }

    /// The item of 64 random bits.
    pub fn draw(&self, random: u64) -> usize {
        let slot = (((random >> 32) * self.slots.len() as u64) >> 32) as usize;
        let (least, other) = self.slots[slot];
        if random as u32 <= least { slot } else { other as usize }
    }
}
