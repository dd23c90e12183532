//! The Cholesky factor of a symmetric positive definite matrix, and what a Gaussian process needs of it.

/// The lower triangle L with L Lᵀ = A, row by row.
#[derive(Debug, Clone)]
pub struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// Factorizes the matrix whose lower triangle `rows` is: row i has i + 1 values. `None` unless it is positive
    /// definite to working precision.
    pub fn new(mut rows: Vec<Vec<f64>>) -> Option<Cholesky> {
        for at in 0..rows.len() {
            let (above, own) = rows.split_at_mut(at);
            let own = &mut own[0];
            for column in 0..at {
                own[column] = (own[column] - dot(&own[..column], &above[column][..column])) / above[column][column];
            }
            let left = own[at] - dot(&own[..at], &own[..at]);
            if !(left > 1e-14 && left.is_finite()) {
                return None;
            }
            own[at] = left.sqrt();
        }
        Some(Cholesky { rows })
    }

    /// Returns L⁻¹ b.
    pub fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut x = Vec::with_capacity(b.len());
        for (row, b) in self.rows.iter().zip(b) {
            x.push((b - dot(&row[..x.len()], &x)) / row[x.len()]);
        }
        x
    }

    /// Returns A⁻¹ b.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = self.forward(b);
        for at in (0..x.len()).rev() {
            x[at] /= self.rows[at][at];
            let (below, value) = (&self.rows[at][..at], x[at]);
            x[..at].iter_mut().zip(below).for_each(|(x, factor)| *x -= factor * value);
        }
        x
    }

    /// Returns the lower triangle of A⁻¹.
    pub fn inverse(&self) -> Vec<Vec<f64>> {
        let count = self.rows.len();
        // Row j of `columns` is column j of L⁻¹, from its first value that is not 0.
        let columns: Vec<Vec<f64>> = (0..count)
            .map(|first| {
                let mut column: Vec<f64> = Vec::with_capacity(count - first);
                for at in first..count {
                    let one = if at == first { 1.0 } else { 0.0 };
                    column.push((one - dot(&self.rows[at][first..at], &column)) / self.rows[at][at]);
                }
                column
            })
            .collect();
        (0..count)
            .map(|row| (0..=row).map(|column| dot(&columns[row], &columns[column][row - column..])).collect())
            .collect()
    }

    /// Returns the logarithm of the determinant of A.
    pub fn log_determinant(&self) -> f64 {
        2.0 * self.rows.iter().enumerate().map(|(at, row)| row[at].ln()).sum::<f64>()
    }
}

/// The inner product.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_with_the_inverse_is_the_identity() {
        let matrix = [[4.0, 2.0, 0.6], [2.0, 5.0, 1.0], [0.6, 1.0, 3.0]];
        let factor = Cholesky::new((0..3).map(|row| matrix[row][..=row].to_vec()).collect()).unwrap();
        let lower = factor.inverse();
        let inverse = |row: usize, column: usize| lower[row.max(column)][row.min(column)];
        for (row, values) in matrix.iter().enumerate() {
            let solved = factor.solve(values);
            for (column, solved) in solved.iter().enumerate() {
                let one = if row == column { 1.0 } else { 0.0 };
                let product: f64 = (0..3).map(|at| values[at] * inverse(at, column)).sum();
                assert!((product - one).abs() < 1e-12 && (solved - one).abs() < 1e-12);
            }
        }
        let determinant: f64 = 4.0 * (15.0 - 1.0) - 2.0 * (6.0 - 0.6) + 0.6 * (2.0 - 3.0);
        assert!((factor.log_determinant() - determinant.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_matrix_that_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(vec![vec![1.0], vec![2.0, 1.0]]).is_none());
        assert!(Cholesky::new(vec![vec![f64::NAN]]).is_none());
    }
}
