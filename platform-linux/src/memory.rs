//! Memory for the engine: on the heap, and only as soon as something is kept in it.

use longcable_core::crypto::replay::ReplayBits;

/// `N` zeroes that take no memory until they are written to.
///
/// A link has room for every key that it may ever have at the same time. Most links have one.
pub struct OnDemand<T, const N: usize>(Option<Box<[T; N]>>);

impl<T, const N: usize> OnDemand<T, N> {
    /// Nothing was written yet.
    pub const EMPTY: Self = Self(None);
}

macro_rules! on_demand {
    ($($number:ty)*) => {$(
        impl<const N: usize> AsRef<[$number]> for OnDemand<$number, N> {
            fn as_ref(&self) -> &[$number] {
                self.0.as_deref().unwrap_or(const { &[0; N] })
            }
        }

        impl<const N: usize> AsMut<[$number]> for OnDemand<$number, N> {
            fn as_mut(&mut self) -> &mut [$number] {
                self.0.get_or_insert_with(|| Box::new([0; N])).as_mut()
            }
        }
    )*};
}
on_demand!(u8 u64);

impl<const N: usize> ReplayBits for OnDemand<u64, N> {
    const ZERO: Self = Self::EMPTY;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_from_the_first_write_on() {
        let mut memory = OnDemand::<u64, 3>::EMPTY;
        assert_eq!((memory.as_ref(), memory.0.is_none()), (&[0; 3][..], true));
        memory.as_mut()[1] = 7;
        assert_eq!(memory.as_ref(), [0, 7, 0]);
        assert_eq!(memory.as_mut(), [0, 7, 0]);
    }
}
